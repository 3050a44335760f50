"""The batches that training draws from RGB-D data sets.

A data set is a dict: `name` (display only), `path`, `param` = {"baseline": ..., "focal": ...} and
optional keys, see `utils/training/data_set_keys.py` and the examples in `DATASETS` of `train.py`.

Everything random about a sample (which photo, crop, flip, colours, camera) follows from the seed
and the running number of the sample alone. So neither the number of loader workers nor that of
processes changes what is drawn, and a resumed run continues with the photos it would have seen.
"""

import itertools
import multiprocessing
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from utils.processes import follow_parent
from utils.training.crops import change_colours, choose_box, make_view, spoil
from utils.training.data_sets import Opened

MOST_UNKNOWN = 100  # batches in a row that may hold no known pixel
DRAWS = 16  # uniform random numbers that come with each sample, for the trainer's own decisions


class Drawing(NamedTuple):
    """How samples are drawn from photos."""

    crop: tuple[int, int]  # (height, width) in px of what the network sees
    other_crops: Sequence[tuple[int, int]] = ()  # each training batch has one of all
    crop_scale: float = 0.5  # the smallest window, as a share of the largest that fits in the photo
    second_view: bool = False  # whether samples carry a second view of their scene
    colours: bool = True  # whether the colours of training samples vary
    spoil: bool = False  # whether those are sometimes blurred, noisy or badly compressed
    seed: int = 0  # of everything random


class Samples(Dataset):
    """What the loader indexes: `(set, item, number)` -> one sample as a dict of tensors.

    A fourth entry of the key says which of the crops; without it the first is taken.

    Keys are those of `make_view`, and `metric` (1, or 0 where the disparity is relative), `ordered`
    (1 where only its order is known), `name` (for messages) and `uniform` (DRAWS,), numbers in
    [0, 1) for what the trainer decides at random. With `second_view` also `second_image`,
    `second_disparity`, `second_mask`, `second_shift` (3,), what has to be added to points of this
    view to see them from there, and `has_second` (0 or 1).
    """

    def __init__(
        self,
        sets: Sequence[Opened],
        drawing: Drawing,
        *,
        train: bool,
        cache_mib: int = 0,
    ) -> None:
        """Remember how to draw; nothing is read before the first index."""
        self.sets, self.train, self.drawing = sets, train, drawing
        self.crops = [tuple(crop) for crop in (drawing.crop, *drawing.other_crops)]
        self.cache: dict[tuple[int, int], Any] = {}
        self.cache_left = cache_mib * 2**20

    def __getitem__(self, key: tuple[int, ...]) -> dict[str, Any]:
        """Read one sample; {"error": message} if that fails."""
        try:
            return self._sample(*key)
        except ValueError as error:  # a worker would bury the message in its traceback
            return {"error": str(error)}

    def _views(self, which, item):
        views = self.cache.get((which, item))
        if views is None:
            views = self.sets[which].views(item)
            size = sum(a.nbytes for view in views for a in view.values() if hasattr(a, "nbytes"))
            if size <= self.cache_left:
                self.cache[which, item] = views
                self.cache_left -= size
        return views

    def _sample(self, which, item, number, shape=0):
        opened, crop = self.sets[which], self.crops[shape]
        views = self._views(which, item)
        rng = np.random.default_rng([self.drawing.seed, number])
        draws = rng.random(DRAWS + 8, dtype=np.float32)
        if not self.train:
            draws[:8] = (0, 0, 0.999, 0.5, 0.5, 0.999, 0, 0)
        order = list(range(len(views)))
        first = views[order.pop(int(draws[0] * len(order)))]
        second = views[order.pop(int(draws[1] * len(order)))] if order else None
        paired = self.drawing.second_view and second is not None
        align = max(
            1,
            *(
                round(first["image"].shape[0] / first[k].shape[0])
                for k in ("stored", "confidence", "masks")
                if k in first
            ),
        )
        scale = self.drawing.crop_scale
        box = choose_box(first["image"].shape[:2], crop, draws[2:5], scale, paired, align)
        flip = draws[5] < 0.5
        floor = opened.data_set["confidence_min"]
        sample = make_view(first, box, crop, flip, floor)
        if self.train and self.drawing.spoil:
            pixels = spoil(sample["image"].permute(1, 2, 0).numpy(), rng)
            sample["image"] = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        sample["metric"] = torch.tensor(float(first["kind"] not in ("relative", "order")))
        sample["ordered"] = torch.tensor(float(first["kind"] == "order"))
        sample["uniform"] = torch.from_numpy(draws[8:].copy())
        sample["name"] = opened.label(item)
        if self.drawing.second_view:
            sample |= self._second(first, second, box, crop, flip, floor, sample)
        return sample

    def _second(self, first, second, box, crop, flip, floor, sample):
        """The keys of the second view, zero where there is none, so that sets can be mixed."""
        keys, shift = ("image", "disparity", "mask"), np.zeros(3, np.float32)
        if second is not None:
            other = make_view(second, box, crop, flip, floor)
            shift = (second["shift"] - first["shift"]).astype(np.float32)
            shift[0] *= -1 if flip else 1
        else:
            other = {key: torch.zeros_like(sample[key]) for key in keys}
        return {f"second_{key}": other[key] for key in keys} | {
            "second_shift": torch.from_numpy(shift),
            "has_second": torch.tensor(float(second is not None)),
        }


def split(
    sets: Sequence[Opened], share: float, seed: int = 111
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Set aside a random share of every set for validation, the same in every run.

    Returns:
        training and validation items, each a list (one entry per set) of arrays of item numbers;
        a set of one photo is used for both.
    """
    train, held_out = [], []
    for which, opened in enumerate(sets):
        order = np.random.default_rng([seed, which]).permutation(len(opened))
        count = min(max(1, len(opened) - int((1 - share) * len(opened))), max(1, len(opened) - 1))
        held_out.append(order[:count])
        train.append(order[count:] if len(order) > 1 else order)
    return train, held_out


class Stream(Sampler):
    """Endless shuffled batches of keys for `Samples`, a pure function of seed and step.

    An epoch draws `weight * len` items of each set, each item equally often to within one.
    Process (rank, of how many) takes its share of every global batch, so two processes see together
    what one with the doubled batch sees. With several crops each global batch draws one of them.
    """

    def __init__(
        self,
        sets: Sequence[Opened],
        items: Sequence[np.ndarray],
        batch_size: int,
        *,
        seed: int,
        start: int = 0,
        steps: int | None = None,
        process: tuple[int, int] = (0, 1),
        crops: int = 1,
    ) -> None:
        """Begin at batch `start` and stop before batch `steps` (None: never)."""
        self.items, self.seed, self.batch_size = items, seed, batch_size
        self.weights = [opened.data_set["weight"] for opened in sets]
        self.start, self.steps, self.crops = start, steps, crops
        self.rank, self.world = process
        shares = zip(items, self.weights, strict=True)
        self.counts = [max(1, round(len(i) * w)) for i, w in shares]
        self.epoch_length = sum(self.counts)
        self._epoch: int | None = None
        self._keys: Any = None  # of that epoch, from _draw

    def __iter__(self) -> Iterator[list[tuple[int, ...]]]:
        """Lists of keys, one list per batch."""
        steps = itertools.count(self.start) if self.steps is None else range(self.start, self.steps)
        for step in steps:
            first = (step * self.world + self.rank) * self.batch_size
            shape = int(np.random.default_rng([self.seed, 0, step]).integers(self.crops))
            yield [(*self.key(number), shape) for number in range(first, first + self.batch_size)]

    def key(self, number: int) -> tuple[int, ...]:
        """(set, item, number) of the sample with this running number."""
        epoch, place = divmod(number, self.epoch_length)
        if epoch != self._epoch:
            self._epoch, self._keys = epoch, self._draw(epoch)
        which, item = self._keys[place]
        return int(which), int(item), number

    def _draw(self, epoch):
        rng = np.random.default_rng([self.seed, 1 + epoch])
        keys = []
        for which, (items, count) in enumerate(zip(self.items, self.counts, strict=True)):
            rounds = [rng.permutation(items) for _ in range(-(-count // len(items)))]
            keys += [(which, item) for item in np.concatenate(rounds)[:count]]
        return np.array(keys)[rng.permutation(len(keys))]


def collate(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Stack samples into a batch; if one could not be read, the batch is only its message."""
    for sample in samples:
        if "error" in sample:
            return sample
    return default_collate(samples)


def _obedient_worker(_):
    follow_parent()


def _batches(loader):
    """Iterate over a loader; closing this generator ends the workers.

    Left to the interpreter's exit they would be waited for without end: they ignore the SIGTERM
    that is meant to stop them.
    """
    before = set(multiprocessing.active_children())
    iterator = iter(loader)
    workers = set(multiprocessing.active_children()) - before
    try:
        yield from iterator
    finally:
        if workers:
            iterator._shutdown_workers()  # a traceback may hold the iterator, so not `del`
        for worker in workers:
            if worker.is_alive():
                worker.kill()
            worker.join()


def prepare(batch: dict[str, Any], device: str | torch.device, colours: bool) -> dict[str, Any]:
    """Move a batch to the device, images to float32 in [0, 1], colours changed if asked.

    Raises:
        ValueError: the batch is the message of a sample that could not be read.
    """
    if "error" in batch:
        raise ValueError(batch["error"])
    moved = {
        key: value.to(device, non_blocking=True) if torch.is_tensor(value) else value
        for key, value in batch.items()
    }
    for key in ("image", "second_image"):
        if key in moved:
            # In the order in which the networks' weights lie (see utils/training/trainer.py).
            image = moved[key].contiguous(memory_format=torch.channels_last).float() / 255
            moved[key] = change_colours(image, moved["uniform"]) if colours else image
    return moved


class TrainingData:
    """The data sets of one run, split and ready to be drawn from.

    Args:
        sets: opened data sets (`utils.training.data_sets.open_data_set`).
        drawing: how samples are drawn from them. Validation keeps to its first crop, to the largest
            window, and to the photos' own colours.
        held_out: opened data sets to validate on, or None to set aside a share of `sets`.
        batch_size: samples per process and step.
        workers: processes that read ahead; 0 reads in the training process.
        cache_mib: how much memory decoded photos may fill, over all workers.
        val_share, val_images: share of each set to set aside; how many photos at most to use.
    """

    def __init__(
        self,
        sets: Sequence[Opened],
        drawing: Drawing,
        held_out: Sequence[Opened] | None = None,
        *,
        batch_size: int,
        workers: int = 1,
        cache_mib: int = 4096,
        val_share: float = 0.01,
        val_images: int = 64,
    ) -> None:
        """Split the sets; nothing is read yet."""
        self.sets, self.drawing, self.batch_size = sets, drawing, batch_size
        self.workers = workers
        self.unknown = 0  # batches in a row of which nothing is known
        self.measured = all(opened.data_set["disparity"] != "none" for opened in sets)
        self.items, check_items = split(sets, val_share)
        check_sets = sets
        if held_out:
            self.items = [np.arange(len(opened)) for opened in sets]
            check_sets, check_items = held_out, [np.arange(len(opened)) for opened in held_out]
        self.check_items = [i[: max(1, val_images // len(check_items))] for i in check_items]
        memory = cache_mib // max(1, workers)
        self.samples = Samples(sets, drawing, train=True, cache_mib=memory)
        self.check_samples = Samples(check_sets, drawing, train=False, cache_mib=1024)
        self.epoch_length = Stream(sets, self.items, batch_size, seed=drawing.seed).epoch_length

    def training(
        self, start: int, steps: int | None, rank: int = 0, world: int = 1, pinned: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Iterate over the raw batches of steps `start` to `steps - 1`, read ahead by workers.

        Args:
            start, steps: the first step, and the one after the last.
            rank, world: which process this is, of how many.
            pinned: whether batches lie in memory that CUDA copies from at once.
        """
        stream = Stream(
            self.sets,
            self.items,
            self.batch_size,
            seed=self.drawing.seed,
            start=start,
            steps=steps,
            process=(rank, world),
            crops=len(self.samples.crops),
        )
        # The cores belong to the network. Here and not in the workers: OpenCV's threads do not
        # survive a fork, and a worker that asks for their number then waits for ever.
        cv2.setNumThreads(1)
        return _batches(
            DataLoader(
                self.samples,
                batch_sampler=stream,
                num_workers=self.workers,
                collate_fn=collate,
                worker_init_fn=_obedient_worker,
                prefetch_factor=4 if self.workers else None,
                pin_memory=pinned,
            )
        )

    def prepare(self, batch: dict[str, Any], device: str | torch.device) -> dict[str, Any]:
        """Bring a raw training batch to the device and vary its colours.

        Raises:
            ValueError: a sample could not be read, or no pixel was known for a hundred batches.
        """
        if self.measured and "error" not in batch:
            self.unknown = 0 if batch["mask"].any() else self.unknown + 1
        if self.unknown > MOST_UNKNOWN:
            names = ", ".join(repr(opened.data_set["name"]) for opened in self.sets)
            raise ValueError(
                f"data sets {names}: in {self.unknown} batches in a row not one pixel was known; "
                f"the last was {batch['name'][0]}.\n"
                "  Look at its depth and confidence, or lower the set's 'confidence_min'."
            )
        return prepare(batch, device, self.drawing.colours)

    def validation(self, device: str | torch.device) -> Iterator[dict[str, Any]]:
        """Every held-out sample once, in order, as large as the aspect allows, colours as is.

        No batch mixes data sets; `set` is "name: " where there are several, else "".
        """
        for which, items in enumerate(self.check_items):
            name = self.check_samples.sets[which].data_set["name"]
            prefix = f"{name}: " if len(self.check_items) > 1 else ""
            for at in range(0, len(items), self.batch_size):
                chosen = items[at : at + self.batch_size]
                samples = [self.check_samples[which, int(item), 0] for item in chosen]
                yield prepare(collate(samples), device, colours=False) | {"set": prefix}
