"""The INT8 form that tuning makes of the configured model, with some of the pictures, to be judged by the others.

```
source, settings, pictures ─▶ made as `quantize` makes one ─▶ competes ─▶ kept in the state folder only if it wins
```
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from edge_agent.edges import anchors
from edge_agent.errors import ModelError, RuntimeMissingError
from edge_agent.records import ByteArray
from edge_agent.tools import int8, kept_forms
from edge_agent.tools.agreement import Agreement
from edge_agent.tools.calibration_pictures import LEAST_PICTURES
from edge_agent.tools.candidates import LEAST_GAIN, Order, Trial, forms_of, least_things
from edge_agent.tools.int8 import Say, Workshop
from edge_agent.tools.kept_forms import KeptForm
from edge_agent.vision import Vision


class OwnForm:
    """The INT8 form of the model that is tuned, or why there is none.

    Args:
        order: what is to be tuned.
        teacher: the model as it is configured.
        say: is told how it goes.
        version: of this program, which is noted in what it makes.
    """

    def __init__(self, order: Order, teacher: Vision, say: Say, *, version: str) -> None:
        self._order = order
        self._teacher = teacher
        self._say = say
        self._folder: TemporaryDirectory[str] | None = None
        self._workshop: Workshop | None = None
        self.form: KeptForm | None = None
        """As it was made."""
        self.said = ""
        """What became of it, in a line."""
        self._prepare(version)

    @property
    def can_be_made(self) -> bool:
        """Whether pictures are to be put aside for it."""
        return self._workshop is not None

    def close(self) -> None:
        """Remove what was only needed meanwhile."""
        if self._folder is not None:
            self._folder.cleanup()

    def _prepare(self, version: str) -> None:
        model = self._order.model
        if model.path is None:
            return self._refuse(f"{self._teacher.name} is built in, and INT8 already")
        if model.path.suffix == ".tflite":
            return self._refuse(f"{model.path.name} is no ONNX file")
        wanted = int8.Order(
            path=model.path,
            model=model,
            agent_version=version,
            pictures_of=self._order.pictures_of,
            max_loss=self._order.max_loss,
        )
        try:
            self._folder = TemporaryDirectory(prefix="edge-agent-")
            self._workshop = Workshop(wanted, self._teacher, Path(self._folder.name))
        except (ModelError, RuntimeMissingError, OSError) as error:
            self._refuse(error)
        return None

    def _refuse(self, why: str | Exception) -> None:
        self._workshop = self.form = None
        if isinstance(why, OSError):
            why = f"{gettempdir()} does not take what is needed meanwhile: {why.strerror or why}"
        self.said = f"no INT8 form was tried: {why}"
        self._say(self.said)

    def is_worth_it(self, calibrating: int, agreement: Agreement) -> bool:
        """Whether there are pictures enough to calibrate, and enough to be found in the others; says so where not."""
        things, least = agreement.things, least_things(self._order.max_loss)
        if not (calibrating and agreement.pictures):
            self._refuse(f"{LEAST_PICTURES} pictures are the least, and others than those that calibrate have to judge")
        elif things < least:
            self._refuse(
                f"without the pictures that calibrate there are {things} things, too few to tell a loss of "
                f"{self._order.max_loss:g}"
            )
        return self.can_be_made

    def make(self, calibrating: Sequence[ByteArray], judging: Sequence[ByteArray], agreement: Agreement) -> list[Trial]:
        """Make it, or take it from where it is kept, and give what there is to be measured; nothing where it cannot be.

        Args:
            calibrating: pictures as large as the configured model sees them, each (h, w, 3) uint8.
            judging: the others.
            agreement: what the configured model finds in those.
        """
        workshop, folder = self._workshop, self._folder
        if workshop is None or folder is None:
            return []
        try:
            form = self._kept_or_made(workshop, calibrating, judging, agreement)
            path = Path(folder.name) / form.name
            path.write_bytes(form.model)
        except (ModelError, OSError) as error:
            self._refuse(error)
            return []
        self.form = form
        trials = list(forms_of(path, f"{self._teacher.name} INT8", self._order, self._teacher))
        return trials if form.loss <= self._order.max_loss else trials[:1]

    def _kept_or_made(
        self,
        workshop: Workshop,
        calibrating: Sequence[ByteArray],
        judging: Sequence[ByteArray],
        agreement: Agreement,
    ) -> KeptForm:
        made_of = self._made_of(workshop, calibrating, judging)
        name = kept_forms.name_of(self._order.model.path or Path(), made_of)
        kept = kept_forms.find(self._order.state, name)
        if kept:
            self._say(f"{name} is kept from before, of the same pictures and settings")
            return kept
        made = workshop.make(calibrating, judging, agreement, self._say)
        return KeptForm(name=name, model=made.model, manifest=made.manifest)

    def _made_of(
        self, workshop: Workshop, calibrating: Sequence[ByteArray], judging: Sequence[ByteArray]
    ) -> dict[str, Any]:
        """All that it depends on, as JSON types."""
        model = self._order.model
        apart = {"name", "path", "labels", "anchors", "threads", "provider", "require_provider"}
        return {
            "source": self._teacher.sha256,
            "model": model.model_dump(mode="json", exclude=apart, exclude_defaults=True),
            "anchors": anchors.sha256_of(model.anchors) if model.anchors else None,
            "labels": [list(self._order.demand.labels), list(self._teacher.label_names)],
            "pictures": [_digest(calibrating), _digest(judging)],
            **workshop.making,
        }

    def judge(self, trials: Sequence[Trial], best: Trial) -> None:
        """Say what became of it, by what was measured; it is kept where it is the best.

        Args:
            trials: of it.
            best: of all.
        """
        if not trials:
            return
        whole = trials[0]
        if any(best is trial for trial in trials):
            self.said = f"{whole.name} is the best"
        else:
            self.form = None
            self.said = f"{whole.name} is not kept: {_why_not(whole, best, self._order.max_loss)}"
        self._say(self.said)


def _why_not(whole: Trial, best: Trial, max_loss: float) -> str:
    if whole.problem or whole.loss is None:
        return whole.problem
    why = ["slower here" if whole.share > 1 else "hardly faster here"] * (whole.share >= LEAST_GAIN)
    why += [f"it loses more than {max_loss:g}"] * (whole.loss > max_loss)
    width, height = best.input_size
    better = f"{best.name} {width}x{height} costs less"
    return f"{' and '.join(why) or better} ({whole.share:.2f} x the time, loss {whole.loss:.3f})"


def _digest(pictures: Sequence[ByteArray]) -> str:
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(json.dumps(picture.shape).encode() + picture.tobytes())
    return digest.hexdigest()
