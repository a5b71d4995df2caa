"""IRNet keeps its hands off the backbone and takes any size."""

from __future__ import annotations

import pytest
import torch

from napari_wsseg.nn import irnet_loss
from napari_wsseg.nn.classifier import Classifier
from napari_wsseg.nn.irnet import IRNet, MeanShift


@pytest.mark.parametrize("arch", ["resnet18", "resnet50", "vgg16", "densenet121"])
@pytest.mark.parametrize("output_stride", [16, 32])
def test_both_branches_answer_at_a_quarter_of_the_size(
    arch: str, output_stride: int
) -> None:
    net = IRNet(Classifier(arch, 2, output_stride=output_stride)).eval()
    with torch.no_grad():
        edge, field = net(torch.rand(1, 1, 64, 96))
    assert edge.shape == (1, 1, 16, 24)
    assert field.shape == (1, 2, 16, 24)


@pytest.mark.parametrize("shape", [(65, 50), (33, 130), (64, 64), (47, 47)])
def test_any_size_is_taken_whole(shape: tuple[int, int]) -> None:
    net = IRNet(Classifier("resnet18", 1)).eval()
    edge, field = net(torch.rand(1, 1, *shape))
    expected = tuple(-(-side // 4) for side in shape)
    assert edge.shape[-2:] == expected
    assert field.shape[-2:] == expected


def test_training_leaves_the_backbone_bit_by_bit_as_it_was() -> None:
    torch.manual_seed(0)
    net = IRNet(Classifier("resnet18", 1, dropblock=0.3)).train()
    before = {key: value.clone() for key, value in net.backbone.state_dict().items()}
    trained = [one for one in net.parameters() if one.requires_grad]
    optimiser = torch.optim.SGD(trained, 0.1)
    edge, field = net(torch.rand(2, 1, 64, 64))
    (edge.sum() + field.abs().sum()).backward()
    optimiser.step()
    assert not any(module.training for module in net.backbone.modules())
    assert all(one.grad is None for one in net.backbone.parameters())
    for key, value in net.backbone.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_every_trained_parameter_is_in_exactly_one_branch_and_gets_a_gradient() -> None:
    net = IRNet(Classifier("resnet18", 1)).train()
    edge, field = net(torch.rand(1, 1, 64, 64))
    (edge.sum() + field.sum()).backward()
    edges = [*net.edge_levels.parameters(), *net.edge_out.parameters()]
    branches = [*edges, *net.displacement_parameters()]
    assert {id(one) for one in branches} == {
        id(one) for one in net.parameters() if one.requires_grad
    }
    assert len({id(one) for one in branches}) == len(branches)
    assert all(one.grad is not None for one in branches)


def test_a_mirrored_film_has_the_mirrored_boundary() -> None:
    torch.manual_seed(0)
    net = IRNet(Classifier("resnet18", 1)).train()
    images = torch.rand(2, 1, 64, 96)
    boundary = net.boundary(images)
    assert boundary.min() >= 0
    assert boundary.max() <= 1
    assert not boundary.requires_grad
    torch.testing.assert_close(net.boundary(images.flip(-1)), boundary.flip(-1))


def test_boundary_without_flip_is_the_sigmoid_of_the_edge() -> None:
    torch.manual_seed(0)
    net = IRNet(Classifier("resnet18", 1)).eval()
    images = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(
        net.boundary(images, flip=False), net(images)[0].sigmoid().detach()
    )


def test_the_mean_displacement_is_taken_off_in_eval_mode_only() -> None:
    shift = MeanShift()
    shift.mean += torch.tensor([1.0, -2.0])
    field = torch.zeros(1, 2, 3, 3)
    assert shift.train()(field).abs().max() == 0
    assert shift.eval()(field)[0, :, 0, 0].tolist() == [-1, 2]
    assert "mean" in shift.state_dict()


def test_a_branch_that_is_not_asked_does_not_answer() -> None:
    torch.manual_seed(0)
    net = IRNet(Classifier("resnet18", 1)).eval()
    images = torch.rand(1, 1, 64, 64)
    edge, field = net(images, displacement=False)
    assert field is None
    assert torch.equal(edge, net(images)[0])


def test_a_film_larger_than_512_px_is_not_cropped() -> None:
    net = IRNet(Classifier("resnet18", 1, output_stride=32)).eval()
    film = torch.rand(1, 1, 530, 777)
    edge, field = net(film)
    assert edge.shape == (1, 1, 133, 195)
    assert field is not None
    assert field.shape == (1, 2, 133, 195)
    changed = film.clone()
    changed[..., 520:, 760:] = 0
    assert not torch.equal(net(changed)[0][..., -1, -1], edge[..., -1, -1])


def test_half_precision_turns_the_gradient_of_a_step_by_a_few_degrees_at_most() -> None:
    """A processor or GPU that computes bf16 trains so unless it is told not to."""
    torch.manual_seed(0)
    net = IRNet(Classifier("resnet18", 1)).train()
    images = torch.rand(2, 1, 96, 96)
    seeds = torch.randint(0, 2, (2, 1, 3, 3), dtype=torch.uint8)
    pairs = irnet_loss.pairs(seeds.repeat_interleave(8, 2).repeat_interleave(8, 3))

    def gradient(half: bool) -> torch.Tensor:
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            edge, field = net(images)
            loss = irnet_loss.boundary(edge, pairs).total
            loss = loss + irnet_loss.displacement(field, pairs).total
        loss.backward()
        learnt = (one for one in net.parameters() if one.requires_grad)
        return torch.cat([one.grad.flatten() for one in learnt])

    exact, half = gradient(False), gradient(True)
    assert (half - exact).norm() / exact.norm() < 0.06
