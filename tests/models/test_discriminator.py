"""The discriminators: shapes, constructor arguments, extractors, spectral norm."""

import pytest
import torch

from models.discriminator import (
    Discriminator,
    MPDDiscriminator,
    add_spectral_norm,
)
from models.features import VGG16Partial


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(11)


def test_patch_discriminator_gives_raw_scores_per_patch():
    scores = Discriminator()(torch.rand(2, 3, 96, 112))
    assert scores.shape == (2, 1, 5, 6)


def test_discriminator_takes_channels_dilations_and_strides_in_this_order():
    network = Discriminator([4, 6, 8], [1, 2], [2, 1])
    assert [block.conv[0].dilation[0] for block in network.net] == [1, 2]
    assert [block.conv[0].stride[0] for block in network.net] == [2, 1]
    assert network(torch.rand(1, 4, 32, 32)).shape[1] == 1
    assert "net.0.conv.1.running_mean" in network.state_dict()  # given channels: all normalise


def test_discriminator_wants_one_dilation_and_stride_per_block():
    with pytest.raises(ValueError, match=r"2 blocks need .* got \[1\] and \[2, 1\]"):
        Discriminator([4, 6, 8], [1], [2, 1])


def test_multi_scale_scores_are_probabilities_at_three_scales():
    scores = MPDDiscriminator()(torch.rand(1, 3, 280, 280), torch.rand(1, 1, 280, 280))
    assert [tuple(score.shape[-2:]) for score in scores] == [(67, 67), (15, 15), (1, 1)]
    assert all(0 <= score.min() and score.max() <= 1 for score in scores)


def test_the_pair_discriminator_sees_image_and_disparity():
    network = MPDDiscriminator().eval()
    network.localD2 = network.Dmain = torch.nn.Identity()  # they need 280 px, and time
    image, disparity = torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)
    scores = network(image, disparity)
    for changed in (network(1 - image, disparity), network(image, 1 - disparity)):
        assert not torch.equal(scores[0], changed[0])


def test_the_pair_discriminator_looks_through_a_given_extractor():
    extractor = VGG16Partial(normalise=True)
    judge = MPDDiscriminator(extractor=extractor)
    assert judge.extractor is extractor
    frozen = {name for name, weight in judge.named_parameters() if not weight.requires_grad}
    assert frozen == {name for name, _ in judge.named_parameters() if name.startswith("extractor")}


def test_spectral_norm_divides_trainable_weights_by_their_largest_singular_value():
    network = add_spectral_norm(MPDDiscriminator()).train()
    head = network.localD1
    features = torch.rand(2, 256, 20, 20)
    with torch.no_grad():
        for _ in range(30):  # each forward is one power iteration
            head(features)
    convolutions = [block.conv[0] for block in head.net] + [head.outConv]
    for conv in convolutions:
        largest = torch.linalg.matrix_norm(conv.weight.flatten(1), ord=2).item()
        assert largest == pytest.approx(1, rel=0.02)
    normed = [key for key in network.state_dict() if "weight_orig" in key]
    trainable = [module for module in network.modules() if hasattr(module, "weight_orig")]
    assert len(normed) == len(trainable) > len(convolutions)
    assert not any("extractor" in key for key in normed)
