"""Global contrast normalisation, then ZCA whitening. Shape suffixes: B images of a block, D pixels of an image, all channels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from benchmark.errors import InvalidValue
from benchmark.preprocessings import Blocks, Preprocessing, Transform
from benchmark.registry import parameter, plugin

if TYPE_CHECKING:
    from torch import Tensor

MAX_PIXELS = 3 * 64 * 64
"""Values per image up to which it is feasible: the covariance has the square of it (1.2 GB here), its eigenvectors take the cube."""


@plugin("gcn-zca")
class GcnZca(Preprocessing):
    """Each image centred and scaled to one norm, then all whitened: x to W (x - mean), W = U diag(1 / sqrt(s + regularisation)) Uᵀ.

    U and s are eigenvectors and eigenvalues of the covariance (divided by N) of the normalised training images, as vectors of all their
    values. The covariance and its eigenvectors are computed in float64, the transform in float32.
    """

    source = "Goodfellow et al. 2013, Maxout networks (CIFAR-10), with the constants of pylearn2; used by Buda et al. 2018, §3.3.2"

    scale: float = parameter(55.0, doc="L2 norm of an image after contrast normalisation", above=0)
    epsilon: float = parameter(1e-8, doc="least L2 norm that an image is divided by, in pixel values of 0 to 255", above=0, log=True)
    regularisation: float = parameter(0.1, doc="added to every eigenvalue of the covariance", above=0, log=True)

    def check(self, image_shape: tuple[int, int, int]) -> None:
        if math.prod(image_shape) > MAX_PIXELS:
            size = " x ".join(map(str, image_shape))
            raise InvalidValue(
                f"gcn-zca whitens images of at most {MAX_PIXELS:,} values (3 x 64 x 64), found {size}: take a smaller size or standardise."
            )

    def learn(self, blocks: Blocks) -> Transform:
        import torch

        mean_D, covariance_DD = self._moments(blocks)
        values_D, vectors_DD = torch.linalg.eigh(covariance_DD)
        shrunk_D = (values_D.clamp(min=0) + self.regularisation).rsqrt()
        whitening_DD = ((vectors_DD * shrunk_D) @ vectors_DD.T).float()
        centre_D = mean_D.float()

        def transform(images: Tensor) -> Tensor:
            white_BD: Tensor = (self._normalised(images) - centre_D) @ whitening_DD
            return white_BD.reshape(images.shape)

        return transform

    def _normalised(self, images: Tensor) -> Tensor:
        """Global contrast normalisation, [B, D] in float32."""
        import torch

        values_BD = images.flatten(1).float()
        values_BD = values_BD - values_BD.mean(dim=1, keepdim=True)
        norm_B1: Tensor = torch.linalg.vector_norm(values_BD, dim=1, keepdim=True).clamp(min=self.epsilon)
        return values_BD * (self.scale / norm_B1)

    def _moments(self, blocks: Blocks) -> tuple[Tensor, Tensor]:
        """Mean [D] and covariance [D, D] in float64; the images are visited twice, which loses no digits to a large mean."""
        sums = [(len(block), self._normalised(block).double().sum(dim=0)) for block in blocks()]
        number = sum(size for size, _ in sums)
        mean_D = sum((part for _, part in sums[1:]), sums[0][1]) / number
        covariance_DD = mean_D.new_zeros(len(mean_D), len(mean_D))
        for block in blocks():
            centred_BD = self._normalised(block).double() - mean_D
            covariance_DD.addmm_(centred_BD.T, centred_BD)
        return mean_D, covariance_DD / number
