"""The callbacks of Lightning and of Hugging Face's Trainer, in real trainings of a tiny model."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genbench.callbacks import Evaluator
from genbench.errors import SetupError

REAL = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs are many, and change from release to release


def evaluator(**changes: Any) -> Evaluator:
    """One that scores every two steps."""
    return Evaluator(REAL, **{"metrics": ["fd"], "every": 2, "n": 100, "device": "cpu", **changes})


def sampled(module: Any, n: int, *, seed: int) -> Tensor:
    """Samples of a module that only knows its own network."""
    assert not module.net.training
    return module.net(torch.randn(n, 4))


def test_lightning_scores_along_the_training_and_at_its_end(tmp_path: Path) -> None:
    pl = pytest.importorskip("lightning.pytorch")
    from lightning.pytorch.loggers import CSVLogger

    from genbench.callbacks.lightning import EvaluatorCallback

    class Model(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(4, 2)

        def training_step(self, batch: Any, index: int) -> Tensor:
            return self.net(torch.randn(len(batch[0]), 4)).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    def fitted(callbacks: list[Any]) -> tuple[Any, Any]:
        pl.seed_everything(1)
        model = Model()
        data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(40, 1)), batch_size=8)
        trainer = pl.Trainer(
            max_steps=5, accelerator="cpu", devices=1, callbacks=callbacks, logger=CSVLogger(tmp_path, name="log"),
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(model, data)
        return model, trainer

    watch = evaluator()
    model, trainer = fitted([EvaluatorCallback(watch, sample=sampled)])
    alone, _ = fitted([])
    assert torch.equal(model.net.weight, alone.net.weight)
    assert [(run.step, run.final) for run in watch.history] == [(2, False), (4, False), (5, True)]
    along = watch.history[1].score("fd").estimate.value
    assert float(trainer.callback_metrics["genbench/reference/fd/identity.pool"]) == pytest.approx(along, rel=1e-6)
    logged = next((tmp_path / "log" / "version_0").glob("metrics.csv")).read_text()
    assert "genbench/reference/fd/identity.pool/std_error" in logged
    assert pickle.loads(pickle.dumps(EvaluatorCallback)) is EvaluatorCallback  # as processes that are spawned need
    fresh = EvaluatorCallback(evaluator())
    fresh.load_state_dict(EvaluatorCallback(watch).state_dict())
    assert list(fresh.evaluator.history) == list(watch.history)


def test_a_hugging_face_trainer_scores_along_the_training_and_at_its_end(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from genbench.callbacks.transformers import EvaluatorCallback

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(4, 2)

        def forward(self, z: Tensor) -> dict[str, Tensor]:
            return {"loss": self.net(z).square().mean()}

    def fitted(callbacks: list[Any]) -> tuple[Any, Any]:
        torch.manual_seed(1)
        model = Model()
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path), max_steps=5, per_device_train_batch_size=8, report_to=[], save_strategy="no",
            use_cpu=True, disable_tqdm=True, logging_strategy="no", seed=1,
        )  # fmt: skip
        data = [{"z": row} for row in torch.randn(40, 4, generator=torch.Generator().manual_seed(0))]
        trainer = transformers.Trainer(model, arguments, train_dataset=data, callbacks=callbacks)
        trainer.train()
        return model, trainer

    watch = evaluator()
    average = {"net.weight": torch.zeros(2, 4), "net.bias": torch.zeros(2)}
    model, trainer = fitted([EvaluatorCallback(watch, sample=sampled, ema=lambda model: average)])
    alone, _ = fitted([])
    assert torch.equal(model.net.weight, alone.net.weight)
    assert [(run.step, run.final) for run in watch.history] == [(2, False), (4, False), (5, True)]
    assert len({run.score("fd").estimate.value for run in watch.history}) == 1  # the average never changed
    logged = [row for row in trainer.state.log_history if "genbench/reference/fd/identity.pool" in row]
    assert [row["step"] for row in logged] == [2, 4, 5]


@pytest.mark.parametrize("name", ["lightning", "transformers"])
def test_a_missing_framework_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import sys

    adapter = importlib.import_module(f"genbench.callbacks.{name}")
    adapter._callback.cache_clear()
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SetupError, match=rf'needs the "{name}" extra: pip install "genbench\[{name}\]"'):
        _ = adapter.EvaluatorCallback
    with pytest.raises(AttributeError, match="no attribute 'Callback'"):
        _ = adapter.Callback
