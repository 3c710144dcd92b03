"""The conformance suite: what every store promises, as tests.

One module per verb. A store passes all of them unchanged: give pytest a fixture `rig` that yields a `Rig` around the
store, and import the modules' tests:

    from stoker.testing.conformance.insert import *

Call `pytest.register_assert_rewrite("stoker.testing.conformance")` in a conftest first, so that failures explain
themselves. `tests/conformance` does this for the stores that Stoker brings along.
"""
