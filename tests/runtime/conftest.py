"""The public contract's assertions should tell as much as a test's own."""

import pytest

pytest.register_assert_rewrite("runtime.store_contract")
