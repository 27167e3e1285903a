"""Learning to rebalance: a policy search in numpy, PPO where torch is installed, one exam for both."""
