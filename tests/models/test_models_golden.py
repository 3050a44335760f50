"""Every network against the reference's numbers, to 1e-4 of their spread (docs/method.md)."""

import json

import h5py
import pytest
import torch
from golden_weights import golden_state

from models import discriminator
from models.disparity_estimation import Disparity, Semantics
from models.disparity_refinement import Refine, RefinePretrained
from models.features import VGG16Partial
from models.partial_inpainting import Masked, PartialConv2d, PartialInpaint
from models.pointcloud_inpainting import Inpaint
from utils.training import losses

DISCRIMINATORS = {
    name: getattr(discriminator, name) for name in ("Discriminator", "MPDDiscriminator")
}
NETWORKS = {
    "Semantics": Semantics,
    "Disparity": Disparity,
    "Refine": Refine,
    "RefineP": RefinePretrained,
    "Inpaint": Inpaint,
    "PartialInpaint": PartialInpaint,
    "VGG16Partial": VGG16Partial,
    **DISCRIMINATORS,
}
MULTI_SCALE = [name for name in DISCRIMINATORS if name.startswith(("MPD", "MultiScale"))]


@pytest.fixture(scope="module")
def file(golden):
    with h5py.File(golden / "networks.h5") as file:
        yield file


@pytest.fixture(scope="module")
def manifest(golden):
    return json.loads((golden / "manifest.json").read_text())


@pytest.fixture(scope="module")
def network(file):
    """Build a network of the given name with the deterministic weights; each is made once."""
    made = {}

    def make(name):
        if name not in made:
            made[name] = NETWORKS[name]()
            made[name].load_state_dict(golden_state(made[name], file.attrs["weight_salt"]))
        return made[name].eval()

    return make


@pytest.fixture(autouse=True)
def without_gradient():
    with torch.no_grad():
        yield


def tensors(group, *names):
    return [torch.from_numpy(group[name][()]) for name in names]


def assert_near(ours, reference):
    """Compare to 1e-4 of the spread of the reference; an absolute bound would be too lax."""
    reference = torch.from_numpy(reference[()])
    assert ours.shape == reference.shape
    error = (ours - reference).abs().max().item()
    assert error <= 1e-4 * reference.std(correction=0).item() + 1e-6


@pytest.mark.parametrize("name", NETWORKS)
def test_state_dict_is_the_published_one(name, manifest):
    network, expected = NETWORKS[name](), manifest["networks"][name]
    found = [[key, list(tensor.shape)] for key, tensor in network.state_dict().items()]
    assert found == expected["state_dict"]
    assert [key for key, _ in network.named_buffers()] == expected["buffers"]
    weights = list(network.parameters())
    assert sum(weight.numel() for weight in weights) == expected["parameter_count"]
    trainable = sum(weight.numel() for weight in weights if weight.requires_grad)
    assert trainable == expected["trainable_parameter_count"]


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("Semantics", ["image"]),
        ("Disparity", ["image", "semantics"]),
        ("Refine", ["image", "disparity"]),
        ("RefineP", ["image", "disparity"]),
    ],
)
def test_depth_network_gives_the_reference_output(name, inputs, network, file):
    group = file[name]["case1"]
    assert_near(network(name)(*tensors(group, *inputs)), group["output"])


@pytest.mark.parametrize("name", ["Inpaint", "PartialInpaint"])
def test_inpainting_gives_the_reference_output(name, network, file):
    group, inpaint = file[name]["forward1"], network(name)
    image, disparity, mask = tensors(group, "image", "disparity", "mask")
    result = inpaint(image * mask, disparity * mask, mask)
    assert_near(result.image, group["out_image"])
    assert_near(result.disparity, group["out_disparity"])
    assert torch.equal(result.mask, mask)
    unclamped = inpaint.train()(image * mask, disparity * mask, mask)
    assert_near(unclamped.image, group["out_image_unclamped"])


@pytest.mark.parametrize("name", ["Inpaint", "PartialInpaint"])
def test_inpainting_with_a_context_gives_the_reference_output(name, network, file):
    group, inpaint = file[name]["with_context0"], network(name)
    image, disparity, mask = tensors(group, "image", "disparity", "mask")
    image, disparity, statistics = inpaint.normalise(image, disparity)
    assert_near(image[..., ::4, ::4], group["normalized_image"])
    assert_near(disparity[..., ::4, ::4], group["normalized_disparity"])
    context = inpaint.context(image, disparity)
    assert_near(context[:, :8, ::4, ::4], group["context_first8"])
    result = inpaint(image * mask, disparity * mask, mask, context * mask, statistics)
    assert_near(result.image, group["out_image"])
    assert_near(result.disparity, group["out_disparity"])


def test_the_travelling_mask_is_the_reference_mask_in_one_channel(network, file):
    group, inpaint = file["PartialInpaint"]["forward1"], network("PartialInpaint")
    image, disparity, mask = tensors(group, "image", "disparity", "mask")
    image, disparity, _ = inpaint.normalise(image * mask, disparity * mask)
    features = torch.cat([image, disparity, inpaint.context(image, disparity)], dim=1)
    finest = inpaint.run_grid(inpaint.moduleInput(Masked(features, mask)))
    expected = torch.from_numpy(group["out_existing"][()])
    assert torch.equal(finest.mask.expand_as(expected), expected)


@pytest.mark.parametrize("case", [f"case{i}" for i in range(5)])
def test_partial_convolution_gives_the_reference_output(case, file):
    group = file["PartialConv2d"][case]
    said = {name: value.item() for name, value in group.attrs.items()}
    conv = PartialConv2d(
        said["in_channels"],
        said["out_channels"],
        said["kernel"],
        said["stride"],
        said["padding"],
        said["bias"],
        multi_channel=said["multi_channel"],
    )
    conv.weight.copy_(*tensors(group, "weight"))
    if said["bias"]:
        conv.bias.copy_(*tensors(group, "bias"))
    features, mask = tensors(group, "input", "mask")
    result, updated = conv(features, mask)
    assert_near(result, group["output"])
    assert_near(updated, group["updated_mask"])
    assert_near(conv(features)[0], group["output_no_mask"])


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", MULTI_SCALE)
def test_discriminator_gives_the_reference_scores(name, mode, file):
    group = file["discriminators"][name]
    judge = NETWORKS[name]().train(mode == "train")
    judge.load_state_dict(golden_state(judge, file.attrs["weight_salt"]))
    names = ["image", "disparity"] if group.attrs["takes_disparity"] else ["image"]
    scores = judge(*tensors(file[group.attrs["inputs"]], *names))
    scores = scores if isinstance(scores, tuple) else (scores,)
    assert len(scores) == sum(key.startswith(mode) for key in group)
    for index, score in enumerate(scores):
        assert_near(score, group[f"{mode}_output{index}"])


@pytest.mark.parametrize("kind", ["real", "fake"])
@pytest.mark.parametrize("name", MULTI_SCALE)
def test_adversarial_loss_is_the_reference_one(name, kind, file):
    group = file["discriminators"][name]
    scores = tensors(group, *(key for key in group if key.startswith("eval")))
    loss = losses.adversarial_loss(scores, kind == "real")
    assert loss.item() == pytest.approx(group.attrs[f"eval_adv_{kind}"], rel=1e-4)


@pytest.mark.parametrize("name", ["conv_5x3x4x4", "conv_64x3x3x3"])
def test_spectral_norm_converges_to_the_reference(name, golden):
    with h5py.File(golden / "losses.h5") as stored:
        group = stored["spectral_norm"][name]
        weight, normalised = tensors(group, "weight", "normalized")
    conv = torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2])
    conv.weight.copy_(weight)
    discriminator.add_spectral_norm(conv).train()
    for _ in range(300):  # one power iteration each
        conv(torch.zeros(1, *weight.shape[1:]))
    torch.testing.assert_close(conv.weight, normalised, rtol=1e-4, atol=1e-6)
