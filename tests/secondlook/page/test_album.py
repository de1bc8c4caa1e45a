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
