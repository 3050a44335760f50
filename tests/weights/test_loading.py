"""Weights files: what loads, as what, and what each wrong file is told."""

import json
import re

import pytest
import torch

from models.compact_estimation import CompactDisparity
from models.discriminator import Discriminator, MPDDiscriminator
from models.disparity_estimation import Disparity, Estimation, Semantics
from models.disparity_refinement import Refine, RefinePretrained
from models.features import VGG16Partial
from models.partial_inpainting import PartialInpaint
from models.pointcloud_inpainting import Inpaint
from utils.weights import loading as checkpoints
from utils.weights.loading import (
    load_estimator,
    load_network,
    read_state_dict,
    save_state_dict,
)

TINY_GRID = (2, 3, 4, 5, 6)
NETWORKS = [
    ("estimation", lambda: Disparity(TINY_GRID, semantics_channels=512)),
    ("refinement", lambda: Refine((2, 3, 4))),
    ("refinement", lambda: RefinePretrained((2, 3, 4))),
    ("refinement", lambda: RefinePretrained()),
    ("inpainting", lambda: Inpaint((2, 3, 4), context_channels=3)),
    ("inpainting", lambda: PartialInpaint((2, 3), context_channels=3)),
    ("inpainting", lambda: PartialInpaint((4, 5, 6, 7))),
]
OURS = {"channel_order": "RGB", "range": "[0, 1]"}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(7)


@pytest.fixture
def refine():
    return Refine((2, 3, 4)).eval()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


@pytest.fixture(scope="session")
def vgg19(tmp_path_factory):
    """A file in torchvision's form: other names, more layers, no batch counters."""
    torch.manual_seed(3)
    state = {}
    for key, tensor in Semantics().state_dict().items():
        if not key.endswith("num_batches_tracked"):
            state["features." + ".".join(key.split(".")[-2:])] = tensor
    state |= {"features.40.weight": torch.zeros(2), "classifier.0.weight": torch.zeros(2)}
    path = tmp_path_factory.mktemp("vgg") / "vgg19_bn.pth"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    return path


def same_weights(network, other):
    ours, theirs = network.state_dict(), other.state_dict()
    assert list(ours) == list(theirs)
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


# -- what loads --


@pytest.mark.parametrize(("role", "make"), NETWORKS)
@pytest.mark.parametrize("form", ["safetensors", "zip", "legacy"])
def test_every_variant_comes_back_as_it_was_saved(role, make, form, path):
    network = make()
    if form == "safetensors":
        save_state_dict(path, network.state_dict())
    else:
        torch.save(
            {"model_state_dict": network.state_dict(), "metadata": OURS},
            path,
            _use_new_zipfile_serialization=form == "zip",
        )
    loaded = load_network(path, role)
    assert type(loaded) is type(network)
    assert not loaded.training
    assert same_weights(loaded, network)
    assert not any(tensor.is_meta for tensor in loaded.state_dict().values())


def test_a_compact_network_is_recognised_with_its_widths_and_columns(path):
    network = CompactDisparity((4, 5, 6, 7, 8), columns=1)
    save_state_dict(path, network.state_dict())
    for loaded in (load_network(path, "estimation"), load_estimator(path)):
        assert isinstance(loaded, CompactDisparity)
        assert same_weights(loaded, network)


def test_a_trained_network_can_train_on(path):
    save_state_dict(path, Refine((2, 3, 4)).state_dict())
    loaded = load_network(path, "refinement").train()
    loaded(torch.rand(1, 3, 8, 8), torch.rand(1, 1, 2, 2)).sum().backward()
    assert all(weight.grad is not None for weight in loaded.parameters())


def test_half_precision_files_become_float32(path, refine):
    save_state_dict(path, {key: value.half() for key, value in refine.state_dict().items()})
    loaded = load_network(path, "refinement")
    for key, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, refine.state_dict()[key].half().float())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrappers_are_dropped(prefix, path, refine):
    state = {prefix + key: value for key, value in refine.state_dict().items()}
    torch.save({"model_state_dict": state, "metadata": OURS}, path)
    assert same_weights(load_network(path, "refinement"), refine)


def test_the_newer_net_spelling_loads_too(path):
    network = Inpaint((2, 3), context_channels=3)
    state = {key.replace("module", "net"): value for key, value in network.state_dict().items()}
    assert "netContext.0.weight" in state and "0x0 - 0x1.netMain.0.weight" in state
    torch.save(state, path)
    assert same_weights(load_network(path, "inpainting"), network)


def test_the_net_of_a_discriminator_keeps_its_name(path):
    save_state_dict(path, Discriminator().state_dict())
    assert "net.0.conv.0.weight" in read_state_dict(path)


def test_the_suffix_does_not_matter(tmp_path, refine):
    save_state_dict(tmp_path / "weights.tar", refine.state_dict())
    assert same_weights(load_network(tmp_path / "weights.tar", "refinement"), refine)


def test_vgg19_loads_from_torchvisions_names(vgg19):
    network = load_network(vgg19, "semantics")
    torchvision = torch.load(vgg19, weights_only=True)
    weights = network.state_dict()
    assert torch.equal(weights["moduleVgg.0.0.weight"], torchvision["features.0.weight"])
    assert torch.equal(
        weights["moduleVgg.14.37.running_var"], torchvision["features.37.running_var"]
    )
    assert weights["moduleVgg.0.1.num_batches_tracked"] == 0
    assert network.channel_order == "rgb"


def test_vgg16_loads_frozen_and_normalising(path):
    weights = {
        "features." + key.split(".", 1)[1]: value
        for key, value in VGG16Partial().state_dict().items()
    }
    torch.save(weights | {"features.17.bias": torch.zeros(3)}, path)
    network = load_network(path, "features")
    assert torch.equal(network.slice3[0].weight, weights["features.10.weight"])
    assert network.normalise
    assert not any(weight.requires_grad for weight in network.parameters())


# -- what images a network wants: RGB in [0, 1], whatever it was trained on --


def test_published_refinement_is_turned_from_bgr_to_rgb(path):
    published = RefinePretrained().eval()
    torch.save(published.state_dict(), path)
    image, disparity = torch.rand(1, 3, 16, 20), torch.rand(1, 1, 4, 5)
    loaded = load_network(path, "refinement")
    torch.testing.assert_close(loaded(image, disparity), published(image.flip(1), disparity))
    assert not torch.allclose(loaded(image, disparity), published(image, disparity))


def test_published_inpainting_is_turned_at_both_ends(path):
    published = Inpaint().eval()
    torch.save(published.state_dict(), path)
    image, disparity = torch.rand(1, 3, 16, 20), torch.rand(1, 1, 16, 20)
    mask = (torch.rand(1, 1, 16, 20) > 0.3).float()
    result = load_network(path, "inpainting")(image, disparity, mask)
    expected = published(image.flip(1), disparity, mask)
    torch.testing.assert_close(result.image, expected.image.flip(1))
    torch.testing.assert_close(result.disparity, expected.disparity)
    assert not torch.allclose(result.image, published(image, disparity, mask).image)


def test_published_estimation_sees_rgb_as_bgr_and_vgg19_sees_rgb(path, vgg19, monkeypatch):
    monkeypatch.setattr(Disparity, "published_widths", TINY_GRID)
    published = Disparity(TINY_GRID).eval()
    torch.save(published.state_dict(), path)
    image = torch.rand(1, 3, 33, 40)
    semantics = load_network(vgg19, "semantics")
    reference = Semantics()
    reference.load_state_dict(semantics.state_dict())
    torch.testing.assert_close(semantics(image), reference(image.flip(1)))
    expected = published(image.flip(1), reference(image.flip(1)))
    torch.testing.assert_close(load_estimator(path, vgg_path=vgg19)(image), expected)


def test_foreign_trainings_of_estimation_see_what_they_were_trained_on(path, vgg19):
    trained = Disparity(TINY_GRID).eval()
    torch.save({"nb_iter": 500, "model_state_dict": trained.state_dict()}, path)
    image = torch.rand(1, 3, 33, 40)
    reference = Semantics()
    reference.load_state_dict(load_network(vgg19, "semantics").state_dict())
    expected = trained(2 * image - 1, reference(2 * image - 1))
    torch.testing.assert_close(load_estimator(path, vgg_path=vgg19)(image), expected)


def test_our_estimation_sees_rgb_in_zero_to_one(path, vgg19):
    trained = Disparity(TINY_GRID).eval()
    torch.save({"model_state_dict": trained.state_dict(), "metadata": OURS}, path)
    image = torch.rand(1, 3, 33, 40)
    loaded = load_estimator(path, vgg_path=vgg19)
    assert isinstance(loaded, Estimation)
    expected = trained(image, load_network(vgg19, "semantics")(image))
    torch.testing.assert_close(loaded(image), expected)


def test_a_bare_file_of_another_size_is_not_taken_for_a_published_one(path):
    network = RefinePretrained((2, 3, 4))
    torch.save(network.state_dict(), path)
    assert same_weights(load_network(path, "refinement"), network)


@pytest.mark.parametrize("make", [lambda: Inpaint((2, 3)), lambda: PartialInpaint((2, 3))])
def test_metadata_can_say_bgr_for_any_size(make, path):
    network = make().eval()
    save_state_dict(path, network.state_dict(), {"channel_order": "BGR"})
    image, disparity = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8)
    mask = (torch.rand(1, 1, 8, 8) > 0.3).float()
    result = load_network(path, "inpainting")(image, disparity, mask)
    expected = network(image.flip(1), disparity, mask)
    torch.testing.assert_close(result.image, expected.image.flip(1))
    torch.testing.assert_close(result.disparity, expected.disparity)


@pytest.mark.parametrize("said", [{"channel_order": "HSV"}, {"range": "somewhere"}, {"range": "3"}])
def test_metadata_that_makes_no_sense_is_refused(said, path, refine):
    save_state_dict(path, refine.state_dict(), said)
    with pytest.raises(ValueError, match="says it is for"):
        load_network(path, "refinement")


# -- right files, wrong network --


def refused(path, match, role="refinement", **options):
    with pytest.raises(ValueError, match=match) as caught:
        load_network(path, role, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("make", "role", "match"),
    [
        (
            lambda: Refine((2, 3, 4)),
            "estimation",
            "this is a refinement network without shortcuts, pass it as --refine-path",
        ),
        (
            lambda: RefinePretrained((2, 3, 4)),
            "inpainting",
            "this is a refinement network, pass it as --refine-path",
        ),
        (
            lambda: Inpaint((2, 3)),
            "refinement",
            "this is an inpainting network, pass it as --inpaint-path",
        ),
        (
            lambda: PartialInpaint((2, 3)),
            "estimation",
            "this is a partial-convolution inpainting network, pass it as --inpaint-path",
        ),
        (
            lambda: Disparity(TINY_GRID),
            "refinement",
            "this is a disparity network, pass it as --estim-path",
        ),
        (
            lambda: CompactDisparity((2, 2, 2, 2, 2)),
            "refinement",
            "this is a compact disparity network, pass it as --estim-path",
        ),
        (VGG16Partial, "estimation", r"this is VGG-16\.\n  --estim-path needs"),
        (Discriminator, "inpainting", "this is a discriminator"),
        (MPDDiscriminator, "inpainting", "this is a discriminator"),
        (lambda: Refine((2, 3, 4)), "semantics", "Needed is weights for semantics"),
    ],
)
def test_a_network_for_another_role_says_where_it_belongs(make, role, match, path):
    save_state_dict(path, make().state_dict())
    refused(path, match, role=role)


def test_an_unknown_network_lists_some_keys(path):
    torch.save({f"layer{i}.weight": torch.zeros(1) for i in range(7)}, path)
    refused(path, "layer0.weight, layer1.weight, layer2.weight and 4 more")


@pytest.mark.parametrize(("role", "make"), NETWORKS[1:6])
def test_each_missing_key_is_named(role, make, path):
    whole = make().state_dict()
    for key in list(whole)[::7]:
        save_state_dict(path, {name: value for name, value in whole.items() if name != key})
        refused(path, re.escape(f"missing {key}"), role=role)


def test_surplus_and_misshaped_keys_are_named(path, refine):
    state = refine.state_dict() | {"moduleExtra.bias": torch.zeros(1)}
    state["moduleRefine.moduleMain.2.weight"] = torch.zeros(5, 2, 3, 3)
    save_state_dict(path, state)
    message = refused(path, "surplus moduleExtra.bias")
    shapes = "misshaped moduleRefine.moduleMain.2.weight (5, 2, 3, 3) instead of (1, 2, 3, 3)"
    assert shapes in message


def test_a_refinement_without_shortcuts_is_not_half_a_published_one(path):
    """One shortcut lost: the file is still known for what it was, and the key is named."""
    state = RefinePretrained((2, 3, 4)).state_dict()
    del state["moduleImageOne.moduleShortcut.weight"]
    save_state_dict(path, state)
    refused(path, "missing moduleImageOne.moduleShortcut.weight")


def test_two_misshaped_rows_never_crash(path):
    """Any tensor may have any shape: the answer is a message, not a traceback."""
    whole = Inpaint((2, 3)).state_dict()
    for key in list(whole)[::7]:
        save_state_dict(path, whole | {key: torch.zeros(())})
        refused(path, "misshaped|missing", role="inpainting")


def test_published_keys_map_completely(golden, tmp_path):
    """Every key of the published files, spelled either way, finds its place."""
    manifest = json.loads((golden / "manifest.json").read_text())
    places = {"network-refinement": "refinement", "network-inpainting": "inpainting"}
    for entry in manifest["published_weights"]:
        role = places.get(entry["published_file"].removesuffix(".pytorch"))
        if role is None:
            continue  # 357 MB to write; its keys are those of the golden test of Disparity
        listed = manifest["networks"][entry["network_here"]]["state_dict"]
        for spelling in ("module", "net"):
            path = tmp_path / entry["published_file"]
            state = {key.replace("module", spelling): torch.rand(shape) for key, shape in listed}
            torch.save(state, path, _use_new_zipfile_serialization=False)
            assert len(load_network(path, role).state_dict()) == entry["n_keys"]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("semantics_to_torchvision_vgg19_bn", lambda: Semantics()),
        ("vgg16partial_to_torchvision_vgg16", lambda: VGG16Partial()),
    ],
)
def test_torchvision_names_follow_the_published_map(name, make, golden):
    listed = json.loads((golden / "manifest.json").read_text())[name]
    network = make()
    state = {theirs: network.state_dict()[ours] for ours, theirs in listed.items()}
    matched = checkpoints._match(network, network.own_names(state), "file")
    assert list(matched) == list(listed)
    assert all(matched[ours] is state[theirs] for ours, theirs in listed.items())
