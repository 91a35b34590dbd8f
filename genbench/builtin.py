"""What genbench itself registers: for every name, where the object is and what it is in a few words."""

from __future__ import annotations

Builtin = dict[str, tuple[str, str]]

METRICS: Builtin = {
    "fd": ("genbench.metrics.frechet:FD", "Fréchet distance between Gaussian fits"),
    "fid": ("genbench.metrics.frechet:FID", "Fréchet Inception Distance: fd on Inception-v3's pool layer alone"),
    "kid": ("genbench.metrics.kernel:KID", "Kernel Inception Distance: kd on Inception-v3's pool layer alone"),
    "fd_infinity": (
        "genbench.metrics.frechet_infinity:FD_INFINITY",
        "Fréchet distance extrapolated in 1/N; for comparison only",
    ),
    "is": ("genbench.metrics.inception:IS", "Inception Score of class probabilities"),
    "is_splits": (
        "genbench.metrics.inception_splits:IS_SPLITS",
        "Inception Score over ten splits, as published; for comparison only",
    ),
    "kd": ("genbench.metrics.kernel:KD", "kernel distance: unbiased squared MMD, cubic kernel, all pairs"),
    "kd_subsets": (
        "genbench.metrics.kernel_subsets:KD_SUBSETS",
        "kernel distance over random subsets, as published; for comparison only",
    ),
    "mmd_rbf": (
        "genbench.metrics.kernel:MMD_RBF",
        "unbiased squared MMD, Gaussian kernel at the reference's median distance",
    ),
    "mmd_test": (
        "genbench.metrics.kernel_permutation:MMD_TEST",
        "permutation test of equal distributions by squared MMD",
    ),
    "w1": ("genbench.metrics.transport:W1", "exact Wasserstein-1 distance"),
    "w2": ("genbench.metrics.transport:W2", "exact Wasserstein-2 distance"),
    "kl_knn": ("genbench.metrics.divergence:KL_KNN", "KL(generated || reference) from nearest neighbours"),
    "kl_knn_reverse": (
        "genbench.metrics.divergence:KL_KNN_REVERSE",
        "KL(reference || generated) from nearest neighbours",
    ),
    "kl_class": ("genbench.metrics.class_divergence:KL_CLASS", "KL(generated || reference) of the class marginals"),
    "kl_class_reverse": (
        "genbench.metrics.class_divergence:KL_CLASS_REVERSE",
        "KL(reference || generated) of the class marginals, smoothed",
    ),
    "js_class": (
        "genbench.metrics.class_divergence:JS_CLASS",
        "Jensen-Shannon divergence of the class marginals",
    ),
    "js_classifier": (
        "genbench.metrics.classifier:JS_CLASSIFIER",
        "lower bound of the Jensen-Shannon divergence from a held-out classifier",
    ),
    "kl_dv": ("genbench.metrics.classifier:KL_DV", "Donsker-Varadhan lower bound of KL(generated || reference)"),
    "kl_nwj": ("genbench.metrics.classifier:KL_NWJ", "NWJ lower bound of KL(generated || reference)"),
    "kl_gaussian": ("genbench.metrics.gaussian_kl:KL_GAUSSIAN", "KL(generated || reference) of Gaussian fits"),
    "kl_log_prob": ("genbench.metrics.known_density:KL_LOG_PROB", "KL(generated || truth) with the known density"),
    "cross_entropy": (
        "genbench.metrics.known_density:CROSS_ENTROPY",
        "cross-entropy of the samples under the known density",
    ),
    "entropy_gap_knn": (
        "genbench.metrics.entropy:ENTROPY_GAP_KNN",
        "differential entropy of the samples less the reference's",
    ),
    "unique_fraction": ("genbench.metrics.diversity:UNIQUE_FRACTION", "share of distinct samples"),
    "rke": ("genbench.metrics.diversity:RKE", "order-2 kernel diversity over the reference's"),
    "vendi": ("genbench.metrics.vendi:VENDI", "Vendi score at a fixed n"),
    "modes_class": ("genbench.metrics.class_modes:MODES_CLASS", "classes with at least one sample"),
    "modes_class_share": (
        "genbench.metrics.class_modes:MODES_CLASS_SHARE",
        "classes with at least a fifth of the reference's share",
    ),
    "entropy_knn": (
        "genbench.metrics.entropy:ENTROPY_KNN",
        "differential entropy of the samples from nearest neighbours",
    ),
    "entropy_class": ("genbench.metrics.entropy:ENTROPY_CLASS", "entropy of the samples' classes"),
    "precision": (
        "genbench.metrics.neighbours:PRECISION",
        "share of generated samples inside the reference manifold",
    ),
    "recall": ("genbench.metrics.neighbours:RECALL", "share of reference samples inside the generated manifold"),
    "density": ("genbench.metrics.neighbours:DENSITY", "how many reference neighbourhoods hold a generated sample"),
    "coverage": (
        "genbench.metrics.neighbours:COVERAGE",
        "share of reference neighbourhoods that hold a generated sample",
    ),
    "sliced_w2": ("genbench.metrics.sliced:SLICED_W2", "sliced Wasserstein-2 distance over random lines"),
    "mind": ("genbench.metrics.sliced:MIND", "Monge Inception Distance's formula on any features"),
    "max_sliced_w2": ("genbench.metrics.max_sliced:MAX_SLICED_W2", "Wasserstein-2 on the widest line, held out"),
    "sinkhorn": ("genbench.metrics.sinkhorn:SINKHORN", "debiased Sinkhorn divergence"),
    "precision_symmetric": (
        "genbench.metrics.neighbours:PRECISION_SYMMETRIC",
        "smaller of precision and its complement",
    ),
    "recall_symmetric": ("genbench.metrics.neighbours:RECALL_SYMMETRIC", "smaller of recall and its complement"),
    "label_test": (
        "genbench.metrics.memorization:LABEL_TEST",
        "share of samples nearest to a training sample, with an exact test of memorization",
    ),
    "c_t": (
        "genbench.metrics.closeness:C_T",
        "closeness to train against held-out samples, per region, unit variance",
    ),
    "auth_pct": ("genbench.metrics.closeness:AUTH_PCT", "share of authentic samples, calibrated on held-out ones"),
    "lower_tail_copies": (
        "genbench.metrics.copying:LOWER_TAIL_COPIES",
        "generated share among the samples closest to train, exact test",
    ),
    "nn_distance_ratio": (
        "genbench.metrics.copying:NN_DISTANCE_RATIO",
        "median distance to train over distance to held-out",
    ),
    "copy_rate": ("genbench.metrics.copying:COPY_RATE", "share nearer to train than 99% of held-out samples are"),
    "knn_two_sample": (
        "genbench.metrics.two_sample:KNN_TWO_SAMPLE",
        "nearest-neighbour two-sample test with exact moments",
    ),
    "c2st": ("genbench.metrics.two_sample:C2ST", "accuracy of a cross-fitted linear two-sample classifier"),
    "ndb": ("genbench.metrics.bins:NDB", "share of bins whose shares differ, with a joint chi-square p"),
    "birthday_support": ("genbench.metrics.birthday:BIRTHDAY_SUPPORT", "support size from near-duplicate pairs"),
    "modes": ("genbench.metrics.modes:MODES", "modes of the known mixture with a high-quality sample"),
    "modes_share": ("genbench.metrics.modes:MODES_SHARE", "modes that get at least a fifth of their due share"),
    "high_quality": ("genbench.metrics.modes:HIGH_QUALITY", "share of samples as near to a mode as true ones are"),
    "kl_modes": ("genbench.metrics.modes:KL_MODES", "KL(generated || truth) of the mode shares"),
    "novel_combinations": (
        "genbench.metrics.factors:NOVEL_COMBINATIONS",
        "share of the combinations unseen in training that are generated",
    ),
}

EXTRACTORS: Builtin = {
    "identity": ("genbench.extractors.identity:Identity", "the samples themselves; pixels in [0, 1], flattened"),
    "pca": ("genbench.extractors.projection:pca", "principal components of the training split"),
    "random-projection": ("genbench.extractors.projection:random_projection", "fixed random directions"),
    "digits-cnn": (
        "genbench.extractors.digits_cnn:DigitsCNN",
        "a small classifier of 8x8 digits, shipped with its weights",
    ),
    "classifier": (
        "genbench.extractors.classifier:Classifier",
        "a classifier of your data: weights=PATH (train-extractor)",
    ),
    "torchvision": (
        "genbench.extractors.backbones:torchvision_backbone",
        "a torchvision classifier: model=NAME weights=PATH",
    ),
    "timm": ("genbench.extractors.backbones:timm_backbone", "a timm classifier: model=NAME weights=PATH"),
    "inception-v3": (
        "genbench.extractors.fidelity:INCEPTION_V3",
        "Inception-v3 of FID, KID and IS; needs its weights file",
    ),
    "vgg16": ("genbench.extractors.fidelity:VGG16", "VGG16, second hidden layer; needs its weights file"),
    "clip-rn50": ("genbench.extractors.fidelity:CLIP_RN50", "CLIP ResNet-50; needs its weights file"),
    "clip-rn101": ("genbench.extractors.fidelity:CLIP_RN101", "CLIP ResNet-101; needs its weights file"),
    "clip-rn50x4": ("genbench.extractors.fidelity:CLIP_RN50X4", "CLIP ResNet-50x4; needs its weights file"),
    "clip-rn50x16": ("genbench.extractors.fidelity:CLIP_RN50X16", "CLIP ResNet-50x16; needs its weights file"),
    "clip-rn50x64": ("genbench.extractors.fidelity:CLIP_RN50X64", "CLIP ResNet-50x64; needs its weights file"),
    "clip-vit-b-32": ("genbench.extractors.fidelity:CLIP_VIT_B_32", "CLIP ViT-B/32; needs its weights file"),
    "clip-vit-b-16": ("genbench.extractors.fidelity:CLIP_VIT_B_16", "CLIP ViT-B/16; needs its weights file"),
    "clip-vit-l-14": ("genbench.extractors.fidelity:CLIP_VIT_L_14", "CLIP ViT-L/14; needs its weights file"),
    "clip-vit-l-14-336px": (
        "genbench.extractors.fidelity:CLIP_VIT_L_14_336PX",
        "CLIP ViT-L/14 at 336 pixels; needs its weights file",
    ),
    "dinov2-vit-s-14": ("genbench.extractors.fidelity:DINOV2_VIT_S_14", "DINOv2 ViT-S/14; needs its weights file"),
    "dinov2-vit-b-14": ("genbench.extractors.fidelity:DINOV2_VIT_B_14", "DINOv2 ViT-B/14; needs its weights file"),
    "dinov2-vit-l-14": ("genbench.extractors.fidelity:DINOV2_VIT_L_14", "DINOv2 ViT-L/14; needs its weights file"),
    "dinov2-vit-g-14": ("genbench.extractors.fidelity:DINOV2_VIT_G_14", "DINOv2 ViT-G/14; needs its weights file"),
}

DATASETS: Builtin = {
    "digits": ("genbench.data.digits:digits", "1,797 real handwritten digits, 8x8 pixels"),
    "stacked-digits": ("genbench.data.stacked:stacked_digits", "three real digits as colours: 1,000 modes"),
    "shapes": ("genbench.data.shapes:shapes", "rendered figures with exact factors and unseen combinations"),
    "ring8": ("genbench.data.toy:ring8", "eight Gaussians on a ring, density known"),
    "grid25": ("genbench.data.toy:grid25", "twenty-five Gaussians on a grid, density known"),
    "checkerboard": ("genbench.data.densities:checkerboard", "uniform on eight squares, density known"),
    "swissroll": ("genbench.data.densities:swissroll", "a Swiss roll in space, density known"),
    "moons": ("genbench.data.densities:moons", "two half moons, density known"),
    "mnist": ("genbench.data.mnist:mnist", "70,000 handwritten digits, 28x28 (files)"),
    "fashion-mnist": ("genbench.data.mnist:fashion_mnist", "70,000 photographs of clothes, 28x28 (files)"),
    "kmnist": ("genbench.data.mnist:kmnist", "70,000 cursive Japanese characters, 28x28 (files)"),
    "cifar10": ("genbench.data.torchvision_sets:cifar10", "60,000 photographs, 32x32, ten classes (files)"),
    "cifar100": ("genbench.data.torchvision_sets:cifar100", "60,000 photographs, 32x32, 100 classes (files)"),
    "svhn": ("genbench.data.torchvision_sets:svhn", "99,289 house-number digits, 32x32 (files)"),
    "stl10": ("genbench.data.torchvision_sets:stl10", "13,000 photographs, 96x96, ten classes (files)"),
    "celeba": ("genbench.data.celeba:celeba", "182,732 faces, cropped and resized to 64x64 (files)"),
    "folder": ("genbench.data.folders:folder", "folders of images of your own, with a declared split"),
    "array": ("genbench.data.arrays:array", "arrays or tables of your own, with a declared split"),
}
