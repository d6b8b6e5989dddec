"""A workspace of a study on wandb: panels of its losses, and columns of its runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.sweeps.plan.varying import settings_in
from scalinglab.wandb_points import STEP_METRIC, TRAIN, VALIDATION

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import LinePlot
    from wandb_workspaces.workspaces import Workspace

    from scalinglab.sweeps.store.stored_plan import StoredPlan

_FINAL = "final/validation_loss"


def study_workspace(plan: StoredPlan, project: str, entity: str | None = None) -> Workspace:
    """Panels of the losses during and at the end of training, of the training, and the report.

    Raises
    ------
    ModuleNotFoundError
        If wandb-workspaces is not installed.
    """
    # Imported here, because it is an extra of its own.
    import wandb_workspaces.reports.v2 as panels
    import wandb_workspaces.workspaces as workspaces

    varied = dict.fromkeys(name for run in plan.runs for name in settings_in(run.varies))
    columns = ["config:N", "config:D", *(f"config:arm.{name}" for name in varied)]
    return workspaces.Workspace(
        entity=entity or "",
        project=project,
        name=f"study {plan.study.name}",
        sections=[
            workspaces.Section(
                name="Losses",
                is_open=True,
                panels=[
                    _line("Validation loss", VALIDATION, log_y=True),
                    _line("Training loss", TRAIN, log_y=True),
                    panels.ScatterPlot(
                        title="Final loss against compute",
                        x=panels.Config("C"),
                        y=panels.SummaryMetric(_FINAL),
                        log_x=True,
                        log_y=True,
                    ),
                ],
            ),
            workspaces.Section(
                name="Training",
                panels=[
                    _line("Learning rate", "train/lr"),
                    _line("Gradient norm", "train/grad_norm", log_y=True),
                    _line("Tokens a second", "train/tokens_per_second"),
                ],
            ),
            workspaces.Section(name="Report", panels=[panels.MediaBrowser(media_keys=["report"])]),
        ],
        settings=workspaces.WorkspaceSettings(x_axis=STEP_METRIC, max_runs=100),
        runset_settings=workspaces.RunsetSettings(
            filters=[workspaces.Tags().isin([plan.study.name])],
            pinned_columns=[*columns, f"summary:{_FINAL}", "summary:state"],
        ),
    )


def write_workspace(workspace: Workspace, path: Path, *, is_online: bool) -> Path:
    """Write the description of a workspace as wandb's JSON; if online, save it on wandb, too.

    Raises
    ------
    UserError
        If wandb does not take it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, workspace._to_model().model_dump_json(by_alias=True, exclude_none=True))
    if is_online:
        try:
            workspace.save()
        except Exception as error:  # its client raises many: the runs are pushed already
            first_line = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(f"wandb did not take the workspace {path}: {first_line}") from error
    return path


def _line(title: str, metric: str, *, log_y: bool = False) -> LinePlot:
    # Imported here, because it is an extra of its own.
    from wandb_workspaces.reports.v2 import LinePlot

    return LinePlot(title=title, x=STEP_METRIC, y=[metric], log_x=True, log_y=log_y)
