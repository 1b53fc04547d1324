"""The world model of a run: trained and calibrated once, also after a kill in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rwmu_train.cli.train_run import on_begin
from rwmu_train.cli.training_display import TrainingDisplay
from rwmu_train.evaluation.world_model.calibration_file import CALIBRATION, save_calibration
from rwmu_train.evaluation.world_model.held_out_calibration import calibrate_on_held_out
from rwmu_train.processes.process_share import ProcessShare
from rwmu_train.transitions.dataset import TransitionDataset
from rwmu_train.transitions.normaliser import StateNormaliser
from rwmu_train.world_model.checkpoint import WorldModelFacts, load_world_model
from rwmu_train.world_model.ensemble import WorldModel
from rwmu_train.world_model.resume import RESUME, iterations_done
from rwmu_train.world_model.settings import WorldModelSettings
from rwmu_train.world_model.start import WorldModelStart
from rwmu_train.world_model.training import WorldModelProgress, train_world_model


@dataclass(frozen=True)
class WorldModelStage:
    """One world model to be trained."""

    dataset: TransitionDataset
    normaliser: StateNormaliser
    settings: WorldModelSettings
    folder: Path
    seed: int
    resume: bool
    """Go on with what is in the folder, from the start where nothing is."""
    share: ProcessShare
    device: str
    start: WorldModelStart | None = None
    """What training begins from; None: random weights."""

    def train(self, on_progress: Callable[[WorldModelProgress], None] | None = None) -> None:
        """Train; the folder then holds the best model on held-out episodes."""
        train_world_model(
            self.dataset,
            self.normaliser,
            self.settings,
            self.folder,
            seed=self.seed,
            resume=self.resume and (self.folder / RESUME).is_file(),
            on_progress=on_progress,
            share=self.share,
            device=self.device,
            start=self.start,
        )

    def finish(self, run: Path, display: TrainingDisplay) -> tuple[WorldModel, WorldModelFacts]:
        """Do what is left of training and calibration.

        Args:
            run: Folder of the run, whose summary holds no longer where something is left.
            display: Progress.
        """
        done = iterations_done(self.folder) if self.resume else 0
        calibrated = (self.folder / CALIBRATION).exists()
        trained = done >= self.settings.iterations
        if trained and calibrated:
            display.say(f"world model: finished already, {done} iterations")
        else:
            on_begin(run, "world model", display.say)(done)
            # It would be of the model before this training.
            (self.folder / CALIBRATION).unlink(missing_ok=True)
        self.train(display.world_model_stage(self.settings.iterations))
        model, facts = load_world_model(self.folder, self.dataset.spec)
        if not (trained and calibrated):
            calibrations = calibrate_on_held_out(model, facts, self.dataset)
            save_calibration(self.folder, calibrations, self.dataset.file_sha256)
        return model, facts
