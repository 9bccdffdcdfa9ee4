"""The plan of ``make faults``."""

import random

from tests.faults.plan import Fault, counted, disk_plan, kills, main_plan


def plan(verdicts: int, seed: int = 1) -> list[Fault]:
    return main_plan(verdicts, random.Random(seed))  # noqa: S311 - no secret


def test_ten_thousand_verdicts_go_through_as_many_faults_as_were_promised() -> None:
    for seed in range(20):
        faults = counted(plan(10_000, seed))
        assert kills(plan(10_000, seed)) >= 100
        assert faults["broker stopped"] + faults["broker kill -9"] >= 20
        assert faults["broker kill -9"] >= 5
        assert faults["silent network"] >= 10
        assert {"unknown name", "stranger's certificate", "access denied"} <= faults.keys()


def test_the_same_seed_gives_the_same_plan_and_another_one_another() -> None:
    assert plan(500) == plan(500)
    assert plan(500) != plan(500, seed=2)


def test_the_shortest_run_still_meets_every_fault() -> None:
    faults = counted([*plan(1), *disk_plan(1, random.Random(1))])  # noqa: S311 - no secret
    assert len(faults) == 9
    assert min(faults.values()) == 1


def test_a_kill_within_a_fault_comes_before_the_fault_ends() -> None:
    inner = [fault for fault in plan(10_000) if fault.kill_after_s is not None]
    assert inner
    assert all(0.0 <= (fault.kill_after_s or 0.0) <= fault.lasts_s for fault in inner)
