"""The key pair of a login: two slots of its user take turns, so that the old key works until the next rotation."""

from __future__ import annotations

import json
from typing import Any

from . import pem
from .connection import connect, identifier, literal, log_in
from .deadline import Deadline
from .deployer_login import Login, LoginError, deployer_login, passphrase_of, read_login
from .redaction import Secrets
from .rotation_versions import Versions
from .user import SLOTS, User, describe_user


class KeyPair:
    """The four steps for a login's JSON secret.

    Why not the managed external secret of type SnowflakeKeyPairAuthentication, which rotates without a function: its
    fields are fixed (account, user, privateKey, publicKey, passphrase) and have no room for role, warehouse and address
    ("Snowflake Key Pair" in the Secrets Manager User Guide), and its user must be allowed to change its own key.
    """

    def __init__(self, versions: Versions, secrets: Secrets, deadline: Deadline) -> None:
        self._versions, self._secrets, self._deadline = versions, secrets, deadline

    def create(self) -> None:
        """Make a new pair, locked with the old one's passphrase if that has one; account and address are brought up."""
        if self._versions.pending() is not None:
            return
        fields = self._fields(self._versions.current())
        deployer = deployer_login(self._secrets, self._deadline)
        new = {"account": deployer.account, "private_key": pem.new_private_key(passphrase_of(fields))}
        self._versions.put(json.dumps(fields | new | dict(deployer.named_address)))

    def set(self) -> None:
        """Register the new key in the slot that the current key does not use."""
        pending = self._key(self._fields(self._needed()))
        fields = self._fields(self._versions.current())
        name = identifier(fields["user"], "User")
        with connect(self._secrets, self._deadline) as session:
            user = describe_user(session, name)
            if user is None:
                raise LoginError(f"User {name} is not there, or the deployer's role does not own it: deploy again.")
            if pem.fingerprint(pending) not in user.fingerprints:
                slot = _other_slot(user, pem.fingerprint(self._key(fields)))
                session.run(f"ALTER USER {name} SET {slot} = {literal(pending)}", f"new key of {name} in {slot}")

    def test(self) -> None:
        """Log in with the new key; with the current one when Secrets Manager only tries the function."""
        text = self._versions.pending() or self._versions.current()
        login: Login = read_login(text, self._versions.arn, self._secrets)
        with log_in(login, self._deadline) as session:
            [row] = session.run('SELECT CURRENT_USER() AS "user"', "who the new key is", changes=False)
        if str(row["user"]).upper() != login.user.upper():
            raise LoginError(f"The new key logs in as {row['user']}, not as {login.user}.")

    def finish(self) -> None:
        """Make the new pair the current one."""
        self._versions.promote()

    def _needed(self) -> str:
        pending = self._versions.pending()
        if pending is None:
            raise ValueError(f"Version {self._versions.token} has no value yet: createSecret comes first.")
        return pending

    def _fields(self, text: str) -> dict[str, Any]:
        """The object of a login secret, checked; its parts are secrets too."""
        read_login(text, self._versions.arn, self._secrets)
        fields: dict[str, Any] = json.loads(text)
        return fields

    def _key(self, fields: dict[str, Any]) -> str:
        return pem.public_key(fields["private_key"], passphrase_of(fields), self._versions.arn)


def _other_slot(user: User, current: str) -> str:
    """The slot that the current key does not use; a free one if it is registered nowhere."""
    used = user.fingerprints.get(current)
    return user.free_slot if used is None else next(slot for slot in SLOTS if slot != used)
