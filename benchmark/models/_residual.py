"""Basic residual blocks: two 3x3 convolutions beside a shortcut. Imported when a network is built, since it needs torch."""

from __future__ import annotations

from torch import Tensor, nn


class BasicBlock(nn.Module):
    """relu(f(x) + shortcut(x)) with f = conv, norm, ReLU, conv, norm; or, with `pre_activation`, norm and ReLU before each convolution.

    The shortcut is the identity where the shape stays, else a 1x1 convolution (of what the first norm and ReLU give, with
    `pre_activation`), followed by a norm with `projection_norm`. Images [N, inner, H, W] to [N, outer, H / stride, W / stride].
    Sources: He et al. 2016a, section 3.3, option B; He et al. 2016b, Figure 4e.
    """

    def __init__(self, inner: int, outer: int, stride: int, *, pre_activation: bool, projection_norm: bool) -> None:
        super().__init__()
        self.pre_activation = pre_activation
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner if pre_activation else outer)
        self.norm2 = nn.BatchNorm2d(outer)
        self.relu = nn.ReLU()
        self.projection: nn.Module | None = None
        if inner != outer or stride != 1:
            convolution = nn.Conv2d(inner, outer, 1, stride, bias=False)
            self.projection = nn.Sequential(convolution, nn.BatchNorm2d(outer)) if projection_norm else convolution

    def forward(self, images: Tensor) -> Tensor:
        return self._before(images) if self.pre_activation else self._after(images)

    def _after(self, images: Tensor) -> Tensor:
        inside = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(images)))))
        found: Tensor = self.relu(inside + (images if self.projection is None else self.projection(images)))
        return found

    def _before(self, images: Tensor) -> Tensor:
        active = self.relu(self.norm1(images))
        inside: Tensor = self.conv2(self.relu(self.norm2(self.conv1(active))))
        return inside + (images if self.projection is None else self.projection(active))
