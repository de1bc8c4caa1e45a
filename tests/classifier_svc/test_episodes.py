from typing import Any

from ulid import ULID

from classifier_svc.looks import Look
from tests.classifier_svc.scene import START, THERE, Scene, look, ns

SHIFTED = (110, 100, 210, 200)


def opened(**rule: Any) -> Scene:
    scene = Scene(**rule)
    assert scene.seen(0.0) == []
    assert scene.looks((0.2, "s"), (0.4, "s")) == ["new small_gun"]
    return scene


def unjudged(*at: float) -> list[Look]:
    return [look(each, "u", classifier=None) for each in at]


def test_an_episode_opens_with_the_look_that_satisfies_the_rule() -> None:
    scene = Scene()
    assert scene.looks((0, "r"), (0.2, "s")) == []
    assert scene.look(0.4, "s", score=0.97) == ["new small_gun"]
    [change] = scene.changes
    episode = change.episode
    assert episode.started_ns == START + ns(0.2)
    assert (episode.shown.score, episode.sequence, change.picture) == (0.97, 0, True)
    assert (episode.decision.confirmed, episode.decision.rejected) == (2, 1)
    assert scene.judge.open_labels() == {"small_gun"}
    assert scene.judge.episode_of("yard-1") == episode.id


def test_the_alert_id_is_a_ulid_of_the_first_look_in_lower_case() -> None:
    scene = opened()
    camera, _, ulid = scene.changes[0].episode.id.partition("-")
    assert (camera, ulid) == ("yard", ulid.lower())
    assert ULID.from_str(ulid.upper()).milliseconds == (START + ns(0.2)) // 1_000_000


def test_more_confirmed_looks_say_nothing() -> None:
    scene = opened()
    assert scene.looks((0.6, "s"), (1.6, "s"), (2.6, "r"), (3.6, "u"), (4.6, "s")) == []


def test_an_update_needs_a_clearly_better_score() -> None:
    scene = opened()
    assert scene.look(3.0, "s", score=0.94) == []
    assert scene.look(3.1, "s", score=0.96) == ["update small_gun"]
    assert scene.changes[-1].picture
    assert scene.changes[-1].episode.sequence == 1
    assert scene.changes[-1].episode.shown.score == 0.96


def test_an_update_needs_a_clearly_better_picture() -> None:
    scene = opened()
    assert scene.look(3.0, "s", where=(100, 100, 200, 249)) == []
    assert scene.look(3.1, "s", where=(100, 100, 200, 250)) == ["update small_gun"]


def test_there_is_one_update_per_update_s_and_the_best_look_waits_for_it() -> None:
    scene = opened()
    assert scene.looks((1.0, "s"), (1.1, "s"), score=0.97) == []
    assert scene.look(1.2, "s", score=0.96) == []
    scene.watch(1, 2)
    assert scene.look(2.4, "r") == ["update small_gun"]
    assert scene.changes[-1].episode.shown.frame.media_ns == ns(1.0)
    assert scene.look(2.5, "s", where=(0, 0, 400, 400)) == []
    assert scene.seen(4.39) == []
    assert scene.seen(4.41) == ["update small_gun"]


def test_it_ends_after_end_after_s_without_a_confirmed_look() -> None:
    scene = opened(cooldown_s=0)
    assert scene.looks((1.4, "r"), (2.4, "u")) == []
    assert scene.watch(1, 5) == []
    assert scene.watch(6, 8) == [(6, "end small_gun gone")]
    assert scene.judge.open_labels() == frozenset()
    end = scene.changes[-1].episode
    assert end.ended_ns == START + ns(0.4 + 5.0)


def test_a_confirmed_look_of_any_alert_label_keeps_it_open() -> None:
    scene = opened()
    scene.watch(1, 4)
    assert scene.look(4.2, "b") == []
    assert scene.watch(5, 9) == []
    assert scene.watch(10, 10) == [(10, "end small_gun gone")]


def test_a_late_confirmed_look_counts_from_its_own_time() -> None:
    scene = opened()
    scene.watch(1, 5)
    assert scene.look(3.0, "s") == []
    assert scene.watch(6, 7) == []
    assert scene.watch(8, 8) == [(8, "end small_gun gone")]


def test_a_late_look_does_not_take_back_what_a_newer_one_confirmed() -> None:
    scene = opened()
    scene.watch(1, 3)
    assert scene.looks((3.5, "s"), (1.5, "s")) == []
    assert scene.watch(4, 8) == []
    assert scene.watch(9, 9) == [(9, "end small_gun gone")]


def test_blind_time_does_not_count_towards_the_end() -> None:
    scene = opened()
    scene.watch(1, 3)
    assert scene.seen(60.0) == ["blind 57 s"]
    assert scene.watch(61, 62) == []
    assert [line for _, line in scene.watch(63, 63)] == ["end small_gun gone"]


def test_a_gap_in_what_was_heard_is_no_blind_time_and_does_not_count_either() -> None:
    scene = opened()
    scene.watch(1, 3)
    assert scene.seen(60.0, heard=False) == []
    assert scene.watch(61, 62) == []
    assert [line for _, line in scene.watch(63, 63)] == ["end small_gun gone"]


def test_a_clip_that_is_read_fast_has_no_gaps() -> None:
    scene = Scene()
    scene.looks((0, "s"), (1, "s"))
    scene.seen(0)
    assert scene.seen(5, offset=-4) == []
    assert scene.seen(10, offset=-8) == ["end small_gun gone"]


def test_a_wall_clock_that_is_set_makes_no_gap() -> None:
    scene = opened()
    assert scene.seen(1, offset=3600) == []
    assert scene.seen(2, offset=0) == []


def test_a_new_run_is_a_blind_gap() -> None:
    scene = opened()
    scene.watch(1, 2)
    assert scene.seen(0.5, run="r2", offset=10) == ["blind 8.5 s"]
    assert scene.watch(1.5, 3.5, run="r2", offset=10) == []
    assert scene.watch(4.5, 4.5, run="r2", offset=10) == [(4.5, "end small_gun gone")]


def test_a_seen_that_is_sent_again_changes_nothing() -> None:
    scene = opened()
    scene.watch(1, 3)
    assert scene.watch(1, 3) == []
    assert scene.seen(0.5, run="r2", offset=10) == ["blind 7.5 s"]
    assert scene.watch(1, 3) == []
    assert scene.watch(1.5, 2.5, run="r2", offset=10) == []
    assert scene.changes[-1].event == "new"


def test_an_old_run_heard_first_does_not_shut_out_the_living_one() -> None:
    scene = opened()
    scene.seen(1, run="r2", offset=100)
    scene.seen(50, run="r0", offset=-1000)
    assert scene.watch(2, 10, run="r2", offset=100)[-1][1] == "end small_gun gone"


def test_another_alert_label_escalates_with_k_looks() -> None:
    scene = opened()
    assert scene.look(1.0, "b") == []
    assert scene.look(1.8, "b") == ["end small_gun escalated", "new big_gun"]
    ended, new = (change.episode for change in scene.changes[-2:])
    assert new.supersedes == ended.id
    assert new.id != ended.id
    assert scene.judge.open_labels() == {"big_gun"}
    assert scene.judge.episode_of("yard-1") == new.id


def test_other_label_looks_that_are_far_apart_do_not_escalate() -> None:
    scene = opened()
    assert scene.looks((1.0, "b"), (1.5, "s"), (3.1, "b"), (5.2, "b")) == []


def test_looks_of_the_opening_window_count_towards_an_escalation() -> None:
    scene = Scene()
    scene.look(0, "s", score=0.99)
    assert scene.look(0.2, "b", score=0.9) == ["new small_gun"]
    assert scene.look(0.4, "b") == ["end small_gun escalated", "new big_gun"]


def test_escalating_back_within_the_cooldown_is_no_second_new() -> None:
    scene = opened(n=5)
    scene.looks((0.6, "b"), (0.8, "b"))
    assert scene.look(1.0, "u") == []
    assert scene.look(1.2, "s") == []
    assert scene.look(1.4, "s") == ["end big_gun escalated", "update small_gun reopened"]
    assert scene.changes[-1].episode.supersedes == scene.changes[-2].episode.id
    scene.check()


def test_the_same_track_re_opens_its_episode_within_the_cooldown() -> None:
    scene = opened()
    scene.watch(1, 6)
    assert scene.looks((8, "r"), (9, "s")) == []
    assert scene.look(9.5, "s", where=THERE) == ["update small_gun reopened"]
    assert scene.judge.open_labels() == {"small_gun"}
    assert scene.changes[-1].episode.ended_ns is None
    assert [line for _, line in scene.watch(7, 16)] == ["end small_gun gone"]
    assert [change.episode.sequence for change in scene.changes] == [0, 1, 2, 3]
    scene.check()


def test_another_track_at_the_same_place_re_opens_it_within_the_cooldown() -> None:
    scene = opened()
    scene.ended(1.0)
    scene.watch(1, 6)
    scene.look(10, "s", track="2", where=SHIFTED)
    assert scene.look(10.2, "s", track="2", where=SHIFTED) == ["update small_gun reopened"]
    assert scene.judge.episode_of("yard-2") == scene.judge.episode_of("yard-1")


def test_another_track_elsewhere_alerts_within_the_cooldown() -> None:
    scene = opened()
    scene.ended(1.0)
    scene.watch(1, 6)
    assert scene.looks((10, "s"), (10.2, "s"), track="2", where=THERE) == ["new small_gun"]


def test_a_place_that_is_hardly_touched_is_another_one() -> None:
    scene = opened()
    scene.ended(1.0)
    scene.watch(1, 6)
    aside = (160, 100, 260, 200)
    assert scene.looks((10, "s"), (10.2, "s"), track="2", where=aside) == ["new small_gun"]


def test_another_label_at_the_same_place_alerts_within_the_cooldown() -> None:
    scene = opened()
    scene.ended(1.0)
    scene.watch(1, 6)
    assert scene.looks((10, "b"), (10.2, "b"), track="2") == ["new big_gun"]


def test_the_same_place_alerts_again_after_the_cooldown() -> None:
    scene = opened(cooldown_s=20)
    scene.ended(1.0)
    scene.watch(1, 20)
    assert scene.look(20.3, "s", track="2") == []
    assert scene.look(20.4, "s", track="2") == ["new small_gun"]


def test_the_same_place_just_within_the_cooldown_does_not_alert_again() -> None:
    scene = opened(cooldown_s=20)
    scene.ended(1.0)
    scene.watch(1, 20)
    scene.look(20.2, "s", track="2")
    assert scene.look(20.39, "s", track="2") == ["update small_gun reopened"]


def test_alerts_elsewhere_keep_no_place_silent_beyond_its_own_cooldown() -> None:
    scene = opened(cooldown_s=20)
    scene.ended(1.0)
    scene.watch(1, 10)
    assert scene.looks((15, "s"), (15.2, "s"), track="2", where=THERE) == ["new small_gun"]
    scene.ended(16.0, "2")
    scene.watch(16, 22)
    assert scene.looks((22, "s"), (22.2, "s"), track="3") == ["new small_gun"]
    assert scene.judge.episode_of("yard-3") != scene.judge.episode_of("yard-1")


def test_what_went_on_to_another_episode_does_not_come_back_with_the_old_one() -> None:
    scene = opened()
    scene.watch(1, 8)
    assert scene.silent(*unjudged(9.0, 9.2)) == ["new unverified"]
    assert scene.looks((9.0, "s"), (9.2, "s"), track="2") == ["update small_gun reopened"]
    small = scene.judge.memory.episodes[scene.judge.episode_of("yard-2") or ""]
    assert small.tracks == ["yard-2"]


def test_a_late_look_finds_the_open_episode_of_its_forgotten_track() -> None:
    scene = Scene()
    scene.seen(0)
    assert scene.silent(*unjudged(0.0, 0.2)) == ["new unverified"]
    track = scene.judge.memory.tracks["yard-1"]
    scene.judge.memory.drop_track(track)
    scene.look(0.0, "s")
    assert scene.look(0.2, "s") == ["end unverified confirmed", "new small_gun"]
    assert scene.changes[-1].episode.supersedes == scene.changes[0].episode.id


def test_a_second_object_beside_a_living_one_alerts_for_itself() -> None:
    scene = opened()
    assert scene.looks((0.6, "s"), (0.8, "s"), track="2", where=SHIFTED) == ["new small_gun"]
    assert scene.judge.episode_of("yard-1") != scene.judge.episode_of("yard-2")


def test_a_track_that_a_killed_detector_never_ended_does_not_live_for_ever() -> None:
    scene = opened()
    assert scene.looks((3.3, "s"), (3.5, "s"), track="2") == []
    assert scene.judge.episode_of("yard-2") == scene.judge.episode_of("yard-1")


def test_the_state_stays_on_until_the_last_episode_of_the_label_ends() -> None:
    scene = opened(end_after_s=3)
    scene.looks((0.6, "s"), (0.8, "s"), track="2", where=THERE)
    scene.watch(1, 2)
    scene.look(2.5, "s", track="2", where=THERE)
    assert scene.watch(3, 4) == [(4, "end small_gun gone")]
    assert scene.judge.open_labels() == {"small_gun"}
    assert scene.watch(5, 6) == [(6, "end small_gun gone")]
    assert scene.judge.open_labels() == frozenset()


def test_an_object_lost_for_a_moment_goes_on_with_its_open_episode() -> None:
    scene = opened()
    scene.ended(0.4)
    assert scene.looks((2, "s"), (2.2, "s"), track="2") == []
    assert scene.judge.episode_of("yard-2") == scene.judge.episode_of("yard-1")
    assert scene.watch(1, 7) == []
    assert scene.watch(8, 8) == [(8, "end small_gun gone")]


def test_a_new_run_continues_the_open_episode_at_its_place() -> None:
    scene = opened()
    scene.watch(1, 2)
    assert scene.looks((0.1, "s"), (0.3, "s"), track="2", run="r2", offset=10) == []
    assert scene.judge.episode_of("yard-2") == scene.judge.episode_of("yard-1")


def test_no_cooldown_means_that_every_episode_is_new() -> None:
    scene = opened(cooldown_s=0)
    scene.watch(1, 6)
    assert scene.looks((9, "s"), (9.5, "s")) == ["new small_gun"]
    scene.check()


def test_late_looks_of_a_time_that_is_over_do_not_re_open_it() -> None:
    scene = opened()
    scene.watch(1, 6)
    assert scene.looks((0.1, "s"), (0.3, "s")) == []


def test_looks_of_the_past_that_were_never_judged_still_alert() -> None:
    scene = Scene()
    scene.watch(0, 30)
    assert scene.looks((3, "s"), (3.2, "s"), late=True) == ["new small_gun"]
    assert scene.changes[-1].episode.late


def test_a_look_judged_twice_counts_once() -> None:
    scene = Scene()
    assert scene.looks((0, "s"), (0, "s"), (0, "s")) == []


def test_open_episodes_survive_a_restart() -> None:
    scene = opened()
    scene.watch(1, 3)
    scene.look(3.1, "s", score=0.99)
    scene.restart()
    assert scene.judge.open_labels() == {"small_gun"}
    assert scene.watch(4, 8) == []
    assert scene.watch(9, 9) == [(9, "end small_gun gone")]
    scene.restart()
    assert scene.looks((10, "s"), (10.2, "s")) == ["update small_gun reopened"]
    scene.restart()
    assert scene.watch(10, 16)[-1][1] == "end small_gun gone"
    scene.check()


def test_half_of_the_looks_before_a_restart_count_after_it() -> None:
    scene = Scene()
    scene.look(0, "s")
    scene.restart()
    assert scene.look(0.5, "s") == ["new small_gun"]


def test_labels_that_alert_no_more_end_at_the_start() -> None:
    scene = opened()
    assert [change.reason for change in scene.judge.close_others({"big_gun"})] == ["gone"]  # type: ignore[union-attr]
    assert scene.judge.open_labels() == frozenset()


def test_the_shown_look_belongs_to_the_label() -> None:
    scene = Scene()
    scene.take(look(0, "s", score=0.85))
    scene.take(look(0.1, "b", score=0.95))
    assert scene.changes[-1].episode.shown.label == "big_gun"
    assert scene.changes[-1].episode.started_ns == START


def test_the_detector_says_itself_that_it_paused_whether_it_was_heard_or_not() -> None:
    scene = opened()
    scene.watch(1, 3)
    assert scene.seen(15, heard=False, unbroken_since=14) == ["blind 11 s"]
    assert scene.seen(16, unbroken_since=14) == []


def test_a_detector_that_was_not_heard_but_looked_on_was_not_blind() -> None:
    scene = opened()
    scene.watch(1, 3)
    assert scene.seen(7, heard=False, unbroken_since=0) == ["end small_gun gone"]
