"""What the routes of one web application share."""

from __future__ import annotations

from stoker.app import Stoker
from stoker.web.acts import Acts
from stoker.web.answers import Answers
from stoker.web.audit import Audit
from stoker.web.config import Config
from stoker.web.hub import Hub
from stoker.web.numbers import Numbers
from stoker.web.present import Presenter
from stoker.web.reach import Reach
from stoker.web.stream_limit import StreamLimit


class Desk:
    """An app of jobs, how it is shown, and the one who watches its jobs for all streams."""

    def __init__(self, app: Stoker, config: Config) -> None:
        self.app = app
        self.config = config
        self.presenter = Presenter(app.registry, config.redact)
        self.hub = Hub(app.engine)
        app.engine.partings.append(self.hub.close)
        self.answers = Answers(app.engine)
        self.streams = StreamLimit(config.max_streams)
        self.numbers = Numbers(app.engine, self.answers)
        self.audit = Audit(app.engine)

    def acts(self, reach: Reach) -> Acts:
        """What whoever has this reach may do."""
        return Acts(self.app, self.audit, self.presenter, reach)
