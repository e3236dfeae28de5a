"""Tags are what docs/wire-format.md, section 5, says, and no changed bit of a datagram gets past them."""

from typing import Literal

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.protocol.auth import DatagramViews, Session
from diode.protocol.link_key import LinkKey
from diode.protocol.sizes import Kind, datagram_bytes
from diode.protocol.wire import headers_of, pack_headers

S = 448
SIZE = datagram_bytes(S)
KEY = LinkKey.of(bytes(range(32)))
SESSION = 0x0123456789ABCDEF

SealingMode = Literal["gmac", "aead"]
Mode = Literal["gmac", "aead", "none"]
any_mode = pytest.mark.parametrize("mode", ["gmac", "aead", "none"])
any_sealing_mode = pytest.mark.parametrize("mode", ["gmac", "aead"])


class Train:
    """Datagrams in memory, with the views that sealing and checking need."""

    def __init__(self, count: int = 4, seed: int = 1) -> None:
        self.buffer = bytearray(np.random.default_rng(seed).bytes(count * SIZE))
        self.datagrams = np.frombuffer(self.buffer, np.uint8).reshape(count, SIZE)
        self.views = DatagramViews(memoryview(self.buffer), SIZE, count)
        self.symbols = self.datagrams[:, 48:-16]
        pack_headers(
            headers_of(self.datagrams),
            kind=Kind.DATA,
            flags=0,
            key_id=KEY.key_id,
            session=SESSION,
            counter=1000,
            bundle=1,
            slab=2,
            symbols=np.arange(count, dtype=np.uint16),
            symbol_bytes=S,
            columns=64,
            k=200,
        )

    def seal(self, mode: Mode, first: int = 0, count: int | None = None) -> None:
        Session(KEY, SESSION, mode).seal(
            self.datagrams, self.views, first, len(self.datagrams) if count is None else count
        )

    def check(
        self, mode: Mode, *, key: LinkKey = KEY, session: int = SESSION, rows: "slice | list[int]" = slice(None)
    ) -> list[bool]:
        picked = rows if isinstance(rows, slice) else np.array(rows, dtype=np.intp)
        authentic = Session(key, session, mode).check(self.datagrams, self.views, picked)
        return [bool(verdict) for verdict in authentic]


@any_mode
def test_what_was_sealed_is_authentic_and_whole(mode: Mode) -> None:
    """Sealing, then checking, gives back the symbols; headers never change."""
    train, plain = Train(), Train()
    train.seal(mode)
    assert [True] * 4 == train.check(mode)
    assert np.array_equal(plain.datagrams[:, :-16], train.datagrams[:, :-16])


@any_sealing_mode
@given(byte=st.integers(0, SIZE - 1), bit=st.integers(0, 7))
@settings(max_examples=150)
def test_a_flipped_bit_anywhere_is_noticed(mode: SealingMode, byte: int, bit: int) -> None:
    """Header, symbol or tag: one changed bit fails that datagram, and only that one."""
    train = Train()
    train.seal(mode)
    train.datagrams[2, byte] ^= 1 << bit
    assert [True, True, False, True] == train.check(mode)


@any_sealing_mode
def test_every_byte_of_the_datagram_is_covered(mode: SealingMode) -> None:
    """No byte is left out: a train whose datagram i has byte i changed has no authentic datagram."""
    train = Train(SIZE)
    train.seal(mode)
    train.datagrams[np.arange(SIZE), np.arange(SIZE)] ^= 0x80
    assert [False] * SIZE == train.check(mode)


@any_sealing_mode
def test_another_key_or_session_is_not_authentic(mode: SealingMode) -> None:
    """Tags hold under the link key and session they were made with, and under no other."""
    for key, session in ((LinkKey.of(bytes(32)), SESSION), (KEY, SESSION ^ 1 << 63)):
        train = Train()
        train.seal(mode)
        assert [False] * 4 == train.check(mode, key=key, session=session)


@any_sealing_mode
def test_the_modes_do_not_accept_each_other(mode: SealingMode) -> None:
    """A receiver set to another mode takes nothing."""
    others: list[Mode] = ["gmac", "aead", "none"]
    others.remove(mode)
    for other in others:
        train = Train()
        train.seal(mode)
        assert [False] * 4 == train.check(other)


def test_gmac_is_gcm_without_plaintext() -> None:
    """The tag is AES-256-GCM's over header and symbol, with a nonce from bytes 12 to 23 of the header."""
    train = Train()
    train.seal("gmac")
    for row in train.datagrams:
        head = row.tobytes()
        expected = AESGCM(KEY.session_key(SESSION)).encrypt(head[12:24], b"", head[:-16])
        assert expected == head[-16:]


def test_aead_encrypts_the_symbol_under_the_header() -> None:
    """What crosses the wire is ciphertext and tag, and the header is bound to it."""
    train, plain = Train(), Train()
    train.seal("aead")
    for row, before in zip(train.datagrams, plain.datagrams, strict=True):
        head = before.tobytes()
        expected = AESGCM(KEY.session_key(SESSION)).encrypt(head[12:24], head[48:-16], head[:48])
        assert expected == row[48:].tobytes()


def test_what_is_not_authentic_is_not_decrypted() -> None:
    """A forged datagram's bytes are left as they came."""
    train = Train()
    train.seal("aead")
    train.datagrams[1, 100] ^= 1
    before = train.datagrams[1].copy()
    assert [True, False, True, True] == train.check("aead")
    assert np.array_equal(before, train.datagrams[1])


@any_mode
def test_only_the_given_rows_are_sealed(mode: Mode) -> None:
    """A slot is sealed piece by piece: neighbours keep their bytes."""
    train, plain = Train(), Train()
    train.seal(mode, 1, 2)
    assert np.array_equal(plain.datagrams[[0, 3]], train.datagrams[[0, 3]])
    assert [True, True] == train.check(mode, rows=slice(1, 3))


@any_mode
def test_rows_can_be_picked(mode: Mode) -> None:
    """Verdicts come in the order of the rows asked for."""
    train = Train()
    train.seal(mode)
    train.datagrams[3, -1] ^= 1
    assert [False, True] == train.check(mode, rows=[3, 0])
    assert [] == train.check(mode, rows=[])


@pytest.mark.parametrize("byte", range(SIZE - 16, SIZE))
def test_without_authentication_the_tag_is_zero(byte: int) -> None:
    """Any byte of a tag where there should be none is refused."""
    train = Train()
    train.seal("none")
    train.datagrams[0, byte] = 1
    assert [False, True, True, True] == train.check("none")


@pytest.mark.parametrize("mode", ["gmac", "aead"])
def test_no_key_is_never_taken_for_no_authentication(mode: Mode) -> None:
    """Without a link key there is no session that would have to authenticate."""
    with pytest.raises(ValueError, match="link key"):
        Session(None, SESSION, mode)


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_link_key_has_32_bytes(length: int) -> None:
    """Other lengths are refused."""
    with pytest.raises(ValueError, match="32 bytes"):
        LinkKey.of(bytes(length))


def test_sessions_have_keys_of_their_own() -> None:
    """No two sessions share a key, even where their nonces would be equal (same low half)."""
    sessions = (0, 1, 1 << 32, 1 << 63, (1 << 64) - 1)
    assert len(sessions) == len({KEY.session_key(session) for session in sessions})


def test_a_link_key_does_not_show_itself() -> None:
    """The secret never gets into a log by way of repr()."""
    assert str(KEY.secret) not in repr(KEY)
    assert KEY.secret.hex() not in repr(KEY)
