from world import World


def test_smoke():
    w = World()
    r = w.rebalance(weights={"AAA": "0.2", "BBB": "0.3", "CCC": "0.2", "DDD": "0.2"})
    print(r)
    w.agrees()
    w.is_deterministic()
    assert 0
