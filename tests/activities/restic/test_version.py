"""The release of restic that the tests of the engine run with."""

import os

from tests.support.restic_repository import Restic


async def test_the_restic_that_was_asked_for_is_the_one_that_is_tested(new_restic: Restic) -> None:
    wanted = os.environ.get("RESTIC_VERSION", "")
    assert (await new_restic("version")).startswith(f"restic {wanted}")
