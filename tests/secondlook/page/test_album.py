from hypothesis import given
from hypothesis import strategies as st

from secondlook.page.album import Album
from secondlook.samples import TINY_JPEG
from tests.secondlook.page.said import picture


def test_a_picture_is_found_by_the_id_in_its_comment() -> None:
    album = Album()

    assert album.add("yard", picture("yard-1.0")) == "yard-1.0"
    assert album.get("yard-1.0") == picture("yard-1.0")
    assert album.newest("yard") == "yard-1.0"


def test_what_has_no_id_or_is_no_jpeg_is_not_kept() -> None:
    album = Album()

    assert album.add("yard", TINY_JPEG) is None
    assert album.add("yard", b"<script>alert(1)</script>") is None
    assert album.newest("yard") is None


def test_the_oldest_pictures_make_room_for_new_ones() -> None:
    album = Album(most_bytes=3 * len(picture("a", 1000)))
    for name in "abcd":
        album.add("yard", picture(name, 1000))

    assert [name in album for name in "abcd"] == [False, True, True, True]


def test_a_picture_that_is_too_large_for_the_album_is_not_kept() -> None:
    album = Album(most_bytes=len(picture("a")))
    album.add("yard", picture("a"))

    assert album.add("yard", picture("b", 1000)) is None
    assert "a" in album


def test_the_same_picture_twice_counts_once() -> None:
    album = Album(most_bytes=2 * len(picture("a", 1000)))
    for _ in range(5):
        album.add("yard", picture("a", 1000))
    album.add("yard", picture("b", 1000))

    assert "a" in album
    assert "b" in album


def test_pictures_that_nobody_asks_for_go_but_each_cameras_newest() -> None:
    album = Album()
    for name in ("old", "new"):
        album.add("yard", picture(name))
    album.add("door", picture("only"))
    album.keep_only(set())

    assert [name in album for name in ("old", "new", "only")] == [False, True, True]


def test_a_deleted_picture_is_gone() -> None:
    album = Album()
    album.add("yard", picture("a"))
    album.forget("yard")
    album.forget("never seen")

    assert album.get("a") is None
    assert album.newest("yard") is None


names = st.sampled_from("abcdef")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), names, st.integers(0, 3000)),
        st.tuples(st.just("forget"), names, st.just(0)),
        st.tuples(st.just("remove"), names, st.just(0)),
        st.tuples(st.just("keep_only"), names, st.just(0)),
    ),
    max_size=40,
)


@given(steps)
def test_whatever_happens_it_keeps_its_limit_and_names_only_what_it_has(
    history: list[tuple[str, str, int]],
) -> None:
    most = 2 * len(picture("a", 2000))
    album = Album(most_bytes=most)
    for what, name, size in history:
        match what:
            case "add":
                album.add(f"camera-{name}", picture(name, size))
            case "forget":
                album.forget(f"camera-{name}")
            case "remove":
                album.remove(name)
            case "keep_only":
                album.keep_only({name})

        kept = {each: album.get(each) for each in "abcdef" if each in album}
        assert sum(len(jpeg or b"") for jpeg in kept.values()) <= most
        newest = {album.newest(f"camera-{each}") for each in "abcdef"} - {None}
        assert newest <= set(kept)
