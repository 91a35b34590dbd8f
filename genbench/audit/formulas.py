"""Scores by other means: the textbook's formula in its plainest form, or the population's value in closed form.

Nothing here shares code with `genbench.metrics`. All sets are (n, d) float64 arrays; logarithms are natural.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, linalg, optimize, spatial, special, stats

Array = NDArray[np.float64]


def frechet(x: Array, y: Array) -> float:
    """Fréchet distance with scipy's matrix square root (Heusel et al. 2017, eq. 6); for well-conditioned sets."""
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    gap = x.mean(axis=0) - y.mean(axis=0)
    return float(gap @ gap + np.trace(first + second - 2 * np.real(linalg.sqrtm(first @ second))))


def frechet_isotropic(d: int, shift: float, scale: float) -> float:
    """Fréchet distance, and squared Wasserstein-2, of N(shift e1, scale^2 I) and N(0, I)."""
    return shift**2 + d * (scale - 1) ** 2


def frechet_bias(d: int, n: int) -> float:
    """Second-order bias of the plug-in Fréchet distance of two sets of n of one N(0, I)."""
    return 2 / n * (d + d * (d + 1) / 4)


def transport(x: Array, y: Array, p: int) -> float:
    """Wasserstein-p distance of equally many samples by the Hungarian method."""
    costs = spatial.distance.cdist(x, y) ** p
    return float(costs[optimize.linear_sum_assignment(costs)].mean() ** (1 / p))


def w1_line(shift: float, scale: float) -> float:
    """Wasserstein-1 distance of N(shift, scale^2) and N(0, 1) on a line: mean of a folded normal."""
    s = abs(scale - 1)
    if s == 0:
        return abs(shift)
    tail = math.exp(-(shift**2) / (2 * s**2)) * s * math.sqrt(2 / math.pi)
    return tail + shift * math.erf(shift / (s * math.sqrt(2)))


def mmd(x: Array, y: Array, *, bandwidth: float | None) -> float:
    """Unbiased squared MMD by three whole kernel matrices; the cubic kernel where no bandwidth is given."""

    def kernel(a: Array, b: Array) -> Array:
        if bandwidth is None:
            return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)
        return np.asarray(np.exp(-spatial.distance.cdist(a, b, "sqeuclidean") / (2 * bandwidth**2)))

    def own(a: Array) -> float:
        k = kernel(a, a)
        return float((k.sum() - np.trace(k)) / (len(a) * (len(a) - 1)))

    return own(x) + own(y) - 2 * float(kernel(x, y).mean())


def median_bandwidth(x: Array) -> float:
    """Median distance of distinct pairs over sqrt(2)."""
    return float(np.median(spatial.distance.pdist(x)) / math.sqrt(2))


def cubic_mmd(d: int, shift: float, scale: float) -> float:
    """Squared MMD of the cubic kernel between N(shift e1, scale^2 I) and N(0, I).

    By the moments of t = x.y with x = a + s u, y = b + r v: E t = a.b, and with V = r^2 |a|^2 + s^2 |b|^2 + s^2 r^2 d,
    E t^2 = (a.b)^2 + V, E t^3 = (a.b)^3 + 3 a.b V + 6 s^2 r^2 a.b.
    """

    def mean(a: float, s: float, b: float, r: float) -> float:
        inner, spread = a * b, r**2 * a**2 + s**2 * b**2 + s**2 * r**2 * d
        cube = inner**3 + 3 * inner * spread + 6 * s**2 * r**2 * inner
        return 1 + 3 * inner / d + 3 * (inner**2 + spread) / d**2 + cube / d**3

    return mean(shift, scale, shift, scale) + mean(0, 1, 0, 1) - 2 * mean(shift, scale, 0, 1)


def gaussian_mmd(d: int, shift: float, scale: float, bandwidth: float) -> float:
    """Squared MMD of the Gaussian kernel between N(shift e1, scale^2 I) and N(0, I)."""

    def mean(variance: float, gap: float) -> float:
        wide = bandwidth**2 + variance
        return float((bandwidth**2 / wide) ** (d / 2) * math.exp(-(gap**2) / (2 * wide)))

    return mean(2 * scale**2, 0) + mean(2, 0) - 2 * mean(scale**2 + 1, shift)


def sinkhorn_isotropic(d: int, shift: float, scale: float, epsilon: float) -> float:
    """Sinkhorn divergence of N(shift e1, scale^2 I) and N(0, I): Janati et al. 2020, theorem 1, less its own terms."""

    def regularized(gap: float, s: float, t: float) -> float:
        half = epsilon / 2
        root = math.sqrt(4 * s**2 * t**2 + half**2)
        return gap**2 + d * (s**2 + t**2 - root + half * (1 - math.log(2 * half)) + half * math.log(root + half))

    return regularized(shift, scale, 1) - (regularized(0, scale, scale) + regularized(0, 1, 1)) / 2


def kl_isotropic(d: int, shift: float, scale: float) -> float:
    """KL(N(shift e1, scale^2 I) || N(0, I)) in nats."""
    return (d * scale**2 + shift**2 - d) / 2 - d * math.log(scale)


def js_line(shift: float, scale: float) -> float:
    """Jensen-Shannon divergence of N(shift, scale^2) and N(0, 1) in nats, by quadrature."""
    p, q = stats.norm(shift, scale), stats.norm(0, 1)

    def integrand(x: float) -> float:
        a, b = p.pdf(x), q.pdf(x)
        middle = (a + b) / 2
        return float((special.rel_entr(a, middle) + special.rel_entr(b, middle)) / 2)

    reach = 12 * max(scale, 1) + abs(shift)
    return float(integrate.quad(integrand, -reach, reach, limit=400)[0])


def gaussian_kl_of_moments(x: Array, y: Array) -> float:
    """KL between the Gaussian fits of two sets, in nats (Kullback 1959)."""
    s, r = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    gap, precision = x.mean(axis=0) - y.mean(axis=0), np.linalg.inv(r)
    logs = np.linalg.slogdet(s)[1] - np.linalg.slogdet(r)[1]
    return float((np.trace(precision @ s) - x.shape[1] - logs + gap @ precision @ gap) / 2)


def whitened(x: Array, reference: Array) -> Array:
    """Return x in the whitened principal components of the reference; all of them are kept."""
    variances, axes = np.linalg.eigh(np.cov(reference, rowvar=False))
    return np.asarray((x - reference.mean(axis=0)) @ axes / np.sqrt(variances))


def neighbour_entropy(x: Array, k: int) -> float:
    """Kozachenko-Leonenko entropy in nats, on a k-d tree (Kraskov et al. 2004, eq. 20)."""
    n, d = x.shape
    radii = np.asarray(spatial.cKDTree(x).query(x, k + 1)[0])[:, k]
    ball = d / 2 * math.log(math.pi) - special.gammaln(d / 2 + 1)
    return float(special.digamma(n) - special.digamma(k) + ball + d * np.log(radii).mean())


def neighbour_kl(x: Array, y: Array, k: int) -> float:
    """KL of densities in nats from k-th neighbours, on k-d trees (Wang, Kulkarni and Verdú 2009, eq. 5)."""
    own = np.asarray(spatial.cKDTree(x).query(x, k + 1)[0])[:, k]
    across = np.asarray(spatial.cKDTree(y).query(x, [k])[0])[:, 0]
    return float(x.shape[1] * np.log(across / own).mean() + math.log(len(y) / (len(x) - 1)))


def balls(x: Array, y: Array, k: int) -> dict[str, float]:
    """Precision, recall, density and coverage of generated x and reference y, and the complements, from whole tables.

    Kynkäänniemi et al. 2019, eqs. 1-2; Naeem et al. 2020, eqs. 4-5; Khayatkhoei and AbdAlmageed 2023.
    """
    gaps = spatial.distance.cdist(x, y)
    of_x, of_y = (np.sort(spatial.distance.cdist(z, z), axis=1)[:, k] for z in (x, y))
    in_y, in_x = gaps <= of_y[None, :], gaps <= of_x[:, None]
    precision, recall = float(in_y.any(axis=1).mean()), float(in_x.any(axis=0).mean())
    return {
        "precision": precision,
        "recall": recall,
        "density": float(in_y.sum() / (k * len(x))),
        "coverage": float((gaps.min(axis=0) < of_y).mean()),
        "precision_symmetric": min(precision, float(in_x.any(axis=1).mean())),
        "recall_symmetric": min(recall, float(in_y.any(axis=0).mean())),
    }


def coverage_null(n: int, m: int, k: int) -> float:
    """Expected coverage of m reference samples by n generated ones of one distribution (Naeem et al. 2020, eq. 8)."""
    return 1 - math.prod((m - j) / (n + m - j) for j in range(1, k + 1))


def same_side(x: Array, y: Array, k: int) -> float:
    """Share of the k nearest neighbours in the pool of both sets that are of the sample's own (Schilling 1986)."""
    pool, labels = np.vstack([x, y]), np.repeat([0, 1], [len(x), len(y)])
    near = np.asarray(spatial.cKDTree(pool).query(pool, k + 1)[1])[:, 1:]
    return float((labels[near] == labels[:, None]).mean())


def order_two(x: Array, bandwidth: float) -> float:
    """Diagonal-free order-2 diversity with a Gaussian kernel (Jalali et al. 2023)."""
    squares = np.exp(-spatial.distance.pdist(x, "sqeuclidean") / bandwidth**2)
    return float(1 / squares.mean())


def order_two_isotropic(d: int, scale: float, bandwidth: float) -> float:
    """Order-2 diversity of N(0, scale^2 I)."""
    return float((1 + 4 * scale**2 / bandwidth**2) ** (d / 2))


def vendi_of(x: Array, bandwidth: float) -> float:
    """Exponential of the entropy of the eigenvalues of K/n (Friedman and Dieng 2023, definition 3.1)."""
    kernel = np.exp(-spatial.distance.cdist(x, x, "sqeuclidean") / (2 * bandwidth**2))
    return float(np.exp(special.entr(np.linalg.eigvalsh(kernel / len(x)).clip(0)).sum()))


def inception(logits: Array) -> float:
    """Inception Score as it is written (Salimans et al. 2016, section 4)."""
    shares = special.softmax(logits, axis=1)
    return float(np.exp(special.rel_entr(shares, shares.mean(axis=0)).sum(axis=1).mean()))


def inception_dirichlet(alpha: Array) -> float:
    """Inception Score of Dirichlet answers: log IS = H(q) - E H(p), with E H(p) = psi(a0 + 1) - sum q psi(a + 1)."""
    total = alpha.sum()
    q = alpha / total
    mean_entropy = special.digamma(total + 1) - (q * special.digamma(alpha + 1)).sum()
    return float(np.exp(special.entr(q).sum() - mean_entropy))


def kl_shares(p: Array, q: Array) -> float:
    """KL of two discrete distributions in nats."""
    return float(special.rel_entr(p, q).sum())


def js_shares(p: Array, q: Array) -> float:
    """Jensen-Shannon divergence of two discrete distributions in nats."""
    middle = (p + q) / 2
    return (kl_shares(p, middle) + kl_shares(q, middle)) / 2


def nearest(x: Array, y: Array) -> Array:
    """Distance of every row of x to the nearest row of y."""
    return np.asarray(spatial.cKDTree(y).query(x)[0])


def authentic(x: Array, train: Array) -> float:
    """Share of samples farther from their nearest training sample than that is from its own (Alaa et al. 2022)."""
    distances, which = spatial.cKDTree(train).query(x)
    own = np.asarray(spatial.cKDTree(train).query(train, 2)[0])[:, 1]
    return float((distances > own[which]).mean())
