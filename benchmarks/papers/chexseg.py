"""Tables and figures of CheXseg (Gadgil 2021)."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.papers.schema import Row, Step, Table
from benchmarks.papers.steps import adopt, evaluate, train

VALUES = ("0", "0.2", "0.4", "0.6", "0.8", "0.85", "0.9", "1")
_AVERAGES = {
    "cam": (0.163, 0.269, 0.274, 0.273, 0.290, 0.292, 0.299, 0.263),
    "irnet": (0.151, 0.250, 0.257, 0.263, 0.281, 0.281, 0.294, None),
}
_SOURCES = {"cam": "CAM", "irnet": "IRNet"}
_FOLDER = (
    "The data are a folder as wsseg init reads it (images, labels.csv with a column "
    "split, masks): expert films in train have masks, weak ones have none, test films "
    "have masks. CheXpert's and CheXlocalize's own splits have no expert film in train."
)
# The paper has no gate: a mask is what its network draws on any film.
_OPEN = ("open_gates", "pooled_miou")
_POOLED = (
    "mIoU is the sum of intersections over that of unions, mean over findings, with "
    "every gate open, as the paper has none."
)
_FEWER = (
    "Classifier and weak masks, too, are made from that many films; the paper's are "
    "made from all."
)


def _chexseg(project: str = "project", *, irnet: bool = True) -> list[Step]:
    """Return what makes a project's classifiers and weak masks."""
    tail = "" if project == "project" else f"-{project}"
    labels = "{data}/labels.csv" if not tail else f"{{work}}/{project}.csv"
    arguments = ("init", f"{{work}}/{project}", "--images", "{data}/images")
    steps = [
        Step(
            f"init{tail}", (*arguments, "--labels", labels, "--masks", "{data}/masks")
        ),
        # What segmenters' encoders start from; the maps come from the other one.
        train(f"encoder{tail}", "classifier", "chexseg", project, arch="resnet18"),
        train(f"classifier{tail}", "classifier", "chexseg", project),
    ]
    if irnet:
        steps.append(train(f"irnet{tail}", "irnet", "chexseg", project))
    return steps


def chexseg_1() -> Table:
    """CheXseg Table 1, Figure 2: IoU by p and weak labels (--data FOLDER)"""
    steps, rows = _chexseg(), []
    for source, label in _SOURCES.items():
        steps.append(
            Step(
                f"sweep-{source}",
                (
                    *("sweep", "chexseg", "-p", "{work}/project"),
                    *("--preset", "chexseg", "--trials", "3", "--name", source),
                    *("--values", ",".join(VALUES)),
                ),
                {"labels": source, "init": "classifier", "init_from": "{encoder.run}"},
            )
        )
        rows += [
            Row(
                (label, value),
                (paper,),
                ((f"sweep-{source}", "metrics", value, *_OPEN),),
            )
            for value, paper in zip(VALUES, _AVERAGES[source], strict=True)
        ]
    return Table(
        "CheXseg Table 1: IoU by share p of expert films",
        ("weak labels", "p"),
        ("average IoU",),
        tuple(steps),
        tuple(rows),
        (
            _FOLDER,
            _POOLED,
            "Figure 2, and every finding, is in project/sweeps/cam and …/irnet.",
        ),
    )


_STARTS = {
    "ResNet18": {"init": "random"},
    "ResNet18-ImageNet": {"init": "imagenet"},
    "ResNet18-MoCo-CXR": {"init": "moco"},
    "ResNet18-CheXpert": {"init": "classifier", "init_from": "{encoder.run}"},
}
_WEAK = {
    ("cam", "ResNet18"): (0.074, 0.126, 0.136),
    ("cam", "ResNet18-ImageNet"): (0.082, 0.132, 0.139),
    ("cam", "ResNet18-MoCo-CXR"): (0.084, 0.133, 0.139),
    ("cam", "ResNet18-CheXpert"): (0.129, 0.141, 0.142),
    ("irnet", "ResNet18"): (0.076, 0.105, 0.111),
    ("irnet", "ResNet18-ImageNet"): (0.081, 0.117, 0.124),
    ("irnet", "ResNet18-MoCo-CXR"): (0.082, 0.120, 0.128),
    ("irnet", "ResNet18-CheXpert"): (0.125, 0.146, 0.156),
}
SIZES = ("100", "2000", "20000")


def _fewer(count: str) -> tuple[str, list[Step]]:
    """Return the project of so many weak films and the steps that make it."""
    project = f"of-{count.replace('%', 'pct')}"
    argv = (
        "benchmarks.fewer_films",
        "{data}",
        count,
        "-o",
        f"{{work}}/{project}.csv",
    )
    return project, [Step(f"labels-{project}", argv), *_chexseg(project)]


def _scored(
    name: str, recipe: str, project: str, settings: Mapping[str, object]
) -> list[Step]:
    """Return the training of one segmenter and its score on test."""
    tail = "" if project == "project" else f"-{project}"
    filled = {
        key: str(value).replace("{encoder.", f"{{encoder{tail}.")
        for key, value in settings.items()
    }
    return [
        train(name, recipe, "chexseg", project, **filled),
        adopt(name, project),
        evaluate(f"test-{name}", "test", project),
    ]


def _miou(name: str) -> tuple[str, ...]:
    return (f"test-{name}", "stages", "segmentation", *_OPEN)


def chexseg_2() -> Table:
    """CheXseg Table 2: weak labels alone, by start and films (--data FOLDER)"""
    steps: list[Step] = []
    found: dict[tuple[str, str, str], Row] = {}
    for place, size in enumerate(SIZES):
        project, made = _fewer(size)
        steps += [*made, train(f"moco-{project}", "moco", "fast", project)]
        for (source, start), paper in _WEAK.items():
            name = f"{source}-{start}-{size}"
            weak = {"p": 0, "labels": source, **_STARTS[start]}
            steps += _scored(name, "chexseg", project, weak)
            arguments = (_SOURCES[source], start, size)
            found[arguments] = Row(arguments, (paper[place],), (_miou(name),))
    return Table(
        "CheXseg Table 2: weak labels alone",
        ("method", "encoder", "films"),
        ("test mIoU",),
        tuple(steps),
        tuple(found[key] for key in sorted(found, key=lambda k: (k[:2], int(k[2])))),
        (_FOLDER, _POOLED, _FEWER, "One trial each.", _MOCO),
    )


_MOCO = (
    "MoCo-CXR's weights are replaced by a run of the recipe moco on the same films; "
    "for theirs: --set chexseg.init=file chexseg.init_from=FILE."
)


def chexseg_3() -> Table:
    """CheXseg Figure 3: student and teacher, by start and films (--data FOLDER)"""
    steps: list[Step] = []
    rows: list[Row] = []
    for share in ("1%", "10%"):
        project, made = _fewer(share)
        steps += [*made, train(f"moco-{project}", "moco", "fast", project)]
        for start, settings in _STARTS.items():
            if start == "ResNet18-ImageNet":
                continue
            teacher, student = f"teacher-{start}-{share}", f"student-{start}-{share}"
            teacher, student = (x.replace("%", "pct") for x in (teacher, student))
            steps += _scored(teacher, "chexseg", project, {"p": 1, **settings})
            taught = {"teacher_run": f"{{{teacher}.run}}", **settings}
            steps += _scored(student, "distillation", project, taught)
            ways = (_miou(teacher), _miou(student))
            rows.append(Row((start, share), (None, None), ways))
    return Table(
        "CheXseg Figure 3: students beside their teachers",
        ("encoder", "films"),
        ("teacher mIoU", "student mIoU"),
        tuple(steps),
        tuple(rows),
        (
            _FOLDER,
            _POOLED,
            _FEWER,
            _MOCO,
            "The figure prints no numbers; with CheXpert's start the student is said "
            "to be better by 1.69 %.",
        ),
    )


def chexseg_4() -> Table:
    """CheXseg Figure 4: full and weak supervision, by start (--data FOLDER)"""
    steps = [*_chexseg(), train("moco", "moco", "fast")]
    rows = []
    papers = {"ResNet18-CheXpert": (0.263,)}
    for start, settings in _STARTS.items():
        names = {"full": f"full-{start}"}
        names |= {source: f"{source}-{start}" for source in _SOURCES}
        for kind, name in names.items():
            how: dict[str, object] = {"p": 1} if kind == "full" else {"p": 0}
            if kind != "full":
                how["labels"] = kind
            steps += _scored(name, "chexseg", "project", {**how, **settings})
        full = papers.get(start, (None,))[0]
        weak = (_WEAK["cam", start][-1], _WEAK["irnet", start][-1])
        ways = tuple(_miou(name) for name in names.values())
        rows.append(Row((start,), (full, *weak), ways))
    return Table(
        "CheXseg Figure 4: full and weak supervision by start",
        ("encoder",),
        ("full, mIoU", "CAM, mIoU", "IRNet, mIoU"),
        tuple(steps),
        tuple(rows),
        (_FOLDER, _POOLED, _MOCO, "One trial each."),
    )
