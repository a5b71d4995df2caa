"""What every figure of an evaluation means, in words that stand beside it."""

from __future__ import annotations

from napari_wsseg.ops import bootstrap

#: Key to what it means; goes into the JSON, the table and the report as it is.
CONVENTIONS: dict[str, str] = {
    "pos_iou": "mean IoU over the films whose truth has the finding",
    "all_iou": "mean IoU over all films, empty against empty = 1; read it beside what "
    "blank masks score",
    "pooled_miou": "sum of intersections over sum of unions, all films together "
    "(CheXseg's mIoU)",
    "miou_with_background": "VOC's mean IoU, of stages whose findings exclude each "
    "other: pooled_miou of every finding and of the background, pixels of no finding",
    "dice": "mean Dice over all films, empty against empty = 1 (the SIIM rule)",
    "emptiness": "share of the films without the finding whose mask was left empty",
    "averaging": "every figure per finding first, then the mean over the findings for "
    "which it is defined; a finding counts the same however many films show it",
    "truth": "the newest expert mask of a film and finding, over all readers; a film "
    "counts only for findings that an expert has drawn, or shown to be absent, on it; "
    "pixels that nobody decided about (void) count nowhere",
    "masks": "at the film's own resolution, in predicted mode: no image-level label of "
    "these films was used",
    "thresholds": "fixed, or each film's own (Otsu), or tuned on validation films' "
    "weak masks or expert masks, as each stage's thresholds_from says; never on test",
    "gate": "a finding whose probability is below its gate stays empty; gates are the "
    "best cut (Youden) of the validation films' image-level labels, or, where the "
    "probability has an AUROC below 0.8 there, the one that opens for no more films "
    "than is worth it; of a segmenter that learnt from expert masks the best mean Dice "
    "of those films; frozen for test; "
    "open_gates holds the same figures with every gate open",
    "label_conditioned": "the same figures where image-level labels are known, as they "
    "are where masks are made from them: present opens the gate, absent leaves the "
    "mask empty, anything else is left to the classifier",
    "interval": f"{bootstrap.LEVEL:.0%} percentile bootstrap, whole films drawn with "
    "replacement; thresholds and networks are held as they are, so it speaks of the "
    "choice of films alone; with fewer than some ten films it is too narrow",
    "differences": "stage less the stage it is compared with, on the same films; the "
    "interval is that of the paired difference, draw by draw",
    "teacher": "where the segmenter in use was taught by another, that one's figures "
    "on the same films, and the paired differences, student less teacher",
    "by_size": "films that have the finding in thirds, by the share of the film that "
    "the truth covers, per finding",
    "experts": "readers against readers on films that two of them annotated "
    "independently, each in turn as the truth: the ceiling for any stage; masks that "
    "began as another reader's, or as the same machine's draft, are left out",
    "auroc": "area under the ROC curve of the probability, against image-level labels; "
    "uncertain and unknown labels are left out",
    "f1": "F1 at the gate, against image-level labels",
}
