"""What each preset is, and where it is not what its paper or its code does.

The papers leave much unsaid, and some of what their code does is left out on purpose.
Whoever compares figures has to know both, so the command line and the window say it.
"""

from __future__ import annotations

from collections.abc import Mapping

_BOTH = (
    "Polynomial decay goes batch by batch, and gradients are clipped at a norm of 5.",
    "IRNet's ResNet-50 has stride 16 by dilation; Ahn's code leaves the dilation out.",
    "IRNet's losses are halved as its code has them, which the equations do not show.",
    "The CRF's reach, 50 and 3 px on films of 512 px, grows with the working size.",
    "Masks of films on which the classifier sees no finding stay empty; with open "
    "gates, as in the papers, figures stand under open_gates.",
)

notes: Mapping[str, tuple[str, ...]] = {
    "auto": (
        "Ours, of no paper: as fast, each finding learnt from what suits it, which the "
        "run says.",
    ),
    "fast": (
        "Ours, of no paper: small films, minutes without a GPU; tried on hearts.",
    ),
    "focal": ("Ours, of no paper: as fast, for findings that are small.",),
    "wsmis": (
        *_BOTH,
        "The paper is silent on DropBlock's share (0.2, as in its code), the weight of "
        "positive pixels (negative by positive, at most 20), IRNet's rates, seeds and "
        "walk (those of Ahn's code) and which checkpoint is kept (least loss on val).",
        "Noise filtering drops regions below 0.2 % of the film, however sure; the "
        "paper does not say how small or how unsure they have to be.",
        "Photographs want exclusive=yes, channels=3, normalisation=imagenet-rgb and "
        "the segmenter's loss=softmax besides.",
    ),
    "chexseg": (
        *_BOTH,
        "Weak masks are of whole findings; appendix A.2 speaks of instances, which its "
        "code does not make either.",
        "Uncertain labels are ignored; the paper does not say which of its code's ways "
        "it took (uncertain=zeros, ones or class for the others).",
        "Segmenters of expert masks are cut where they meet those of val best, and "
        "kept by Dice over all findings; the code goes by four of them.",
        "IRNet's three epochs, walk and cuts are its code's; the paper has none.",
        "The rate is the one for little data; with much set learning_rate=1e-4.",
    ),
    "tdn": (
        "Whole films of 340 px are filled up to 352 px with zeros when maps are made.",
        "The paper is silent on how its two maps become a mask (half of the map's own "
        "peak), on weight decay (none), on which epoch is kept (least loss on val) and "
        "on whether features are normalised by layer or by map (layer).",
    ),
    "wsmis-compat": (
        *_BOTH,
        "Elastic and optical distortion of films are left out, and its GrabCut, too.",
        "Its threshold of IRNet's maps was never published; 0.25 of the peak here.",
    ),
    "chexseg-compat": (
        *_BOTH,
        "Not repeated: a sum over findings that counts the first ten times, Otsu on "
        "maps that were never brought to [0, 1], and the missing mean of displacement.",
        "Maps come from a DenseNet-121, as in the paper; its code's are a ResNet's.",
    ),
    "irn-compat": (
        *_BOTH,
        "Batch norm and the first filter learn on, where theirs are frozen; films are "
        "not cropped out of larger ones, and the head has biases.",
        "Walks are over whole films; the code cuts off what exceeds 512 px.",
    ),
}
