"""Titles and first authors of the papers that laws and methods come from, by arXiv number."""

from __future__ import annotations

# arXiv number -> first author as BibTeX writes it, year, title. Further authors: "and others".
PAPERS: dict[str, tuple[str, int, str]] = {
    "1704.02030": (
        "Yao, Yuling",
        2017,
        "Using Stacking to Average {Bayesian} Predictive Distributions",
    ),
    "1812.06162": ("McCandlish, Sam", 2018, "An Empirical Model of Large-Batch Training"),
    "2001.08361": ("Kaplan, Jared", 2020, "Scaling Laws for Neural Language Models"),
    "2010.14701": ("Henighan, Tom", 2020, "Scaling Laws for Autoregressive Generative Modeling"),
    "2202.01169": ("Clark, Aidan", 2022, "Unified Scaling Laws for Routed Language Models"),
    "2203.15556": ("Hoffmann, Jordan", 2022, "Training Compute-Optimal Large Language Models"),
    "2209.06640": (
        "Alabdulmohsin, Ibrahim",
        2022,
        "Revisiting Neural Scaling Laws in Language and Vision",
    ),
    "2210.14891": ("Caballero, Ethan", 2022, "Broken Neural Scaling Laws"),
    "2305.16264": ("Muennighoff, Niklas", 2023, "Scaling Data-Constrained Language Models"),
    "2310.03262": (
        "Hu, Shengding",
        2023,
        "Predicting Emergent Abilities with Infinite Resolution Evaluation",
    ),
    "2403.08540": (
        "Gadre, Samir Yitzhak",
        2024,
        "Language Models Scale Reliably with Over-Training and on Downstream Tasks",
    ),
    "2403.16952": (
        "Ye, Jiasheng",
        2024,
        "Data Mixing Laws: Optimizing Data Mixtures by Predicting Language Modeling Performance",
    ),
    "2404.07177": (
        "Goyal, Sachin",
        2024,
        "Scaling Laws for Data Filtering: Data Curation Cannot Be Compute Agnostic",
    ),
    "2404.10102": ("Besiroglu, Tamay", 2024, "{Chinchilla} Scaling: A Replication Attempt"),
    "2406.01375": (
        "Que, Haoran",
        2024,
        "{D-CPT} Law: Domain-Specific Continual Pre-Training Scaling Law for Large Language Models",
    ),
    "2407.13623": (
        "Tao, Chaofan",
        2024,
        "Scaling Laws with Vocabulary: Larger Models Deserve Larger Vocabularies",
    ),
    "2408.11029": ("Tissue, Howe", 2024, "Scaling Law with Learning Rate Annealing"),
    "2411.12925": (
        "Brandfonbrener, David",
        2024,
        "Loss-to-Loss Prediction: Scaling Laws for All Datasets",
    ),
    "2412.04403": (
        "Bhagia, Akshita",
        2024,
        "Establishing Task Scaling Laws via Compute-Efficient Model Ladders",
    ),
    "2501.12486": (
        "Jin, Tian",
        2025,
        "The Journey Matters: Average Parameter Count over Pre-Training Unifies Sparse and Dense"
        " Scaling Laws",
    ),
    "2502.05172": (
        "Ludziejewski, Jan",
        2025,
        "Joint {MoE} Scaling Laws: Mixture of Experts Can Be Memory Efficient",
    ),
    "2502.12051": (
        "Sengupta, Ayan",
        2025,
        "How to Upscale Neural Networks with Scaling Law? A Survey and Practical Guidelines",
    ),
    "2503.04715": (
        "Li, Houyi",
        2025,
        "Predictable Scale: Part {I}, Step Law: Optimal Hyperparameter Scaling Law in Large"
        " Language Model Pretraining",
    ),
    "2503.12811": (
        "Luo, Kairong",
        2025,
        "A Multi-Power Law for Loss Curve Prediction Across Learning Rate Schedules",
    ),
    "2509.19189": (
        "Li, Binghui",
        2025,
        "Functional Scaling Laws in Kernel Regression: Loss Dynamics and Learning Rate Schedules",
    ),
    "2512.13705": (
        "Wang, Siqi",
        2025,
        "Scaling and Transferability of Annealing Strategies in Large Language Model Training",
    ),
    "2603.22339": (
        "Czech, Eric",
        2026,
        "Problems with {Chinchilla} Approach 2: Systematic Biases in {IsoFLOP} Parabola Fits",
    ),
    "2604.21106": (
        "Schwethelm, Kristian",
        2026,
        "How Much Is One Recurrence Worth? Iso-Depth Scaling Laws for Looped Language Models",
    ),
    "2605.01640": (
        "Lovelace, Justin",
        2026,
        "Prescriptive Scaling Laws for Data Constrained Training",
    ),
    "2505.10475": ("Chen, Mouxiang", 2025, "Parallel Scaling Law for Language Models"),
    "2506.04598": (
        "Nezhurina, Marianna",
        2025,
        "Scaling Laws for Robust Comparison of Open Foundation Language-Vision Models and Datasets",
    ),
    "2506.10972": (
        "Li, Houyi",
        2025,
        "Predictable Scale: Part {II}, {Farseer}: A Refined Scaling Law in Large Language Models",
    ),
    "2507.17702": (
        "Tian, Changxin",
        2025,
        "Towards Greater Leverage: Scaling Laws for Efficient Mixture-of-Experts Language Models",
    ),
    "2002.04745": (
        "Xiong, Ruibin",
        2020,
        "On Layer Normalization in the {Transformer} Architecture",
    ),
    "2006.09092": (
        "Granziol, Diego",
        2020,
        "Learning Rates as a Function of Batch Size: A Random Matrix Theory Approach to Neural"
        " Network Training",
    ),
    "2203.03466": (
        "Yang, Greg",
        2022,
        "Tensor Programs {V}: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer",
    ),
    "2205.10287": (
        "Malladi, Sadhika",
        2022,
        "On the {SDEs} and Scaling Rules for Adaptive Gradient Algorithms",
    ),
    "2309.14322": (
        "Wortsman, Mitchell",
        2023,
        "Small-scale proxies for large-scale {Transformer} training instabilities",
    ),
    "2404.01204": (
        "Yang, Chen",
        2024,
        "The Fine Line: Navigating Large Language Model Pretraining with Down-streaming Capability"
        " Analysis",
    ),
    "2502.05795": ("Sun, Wenfang", 2025, "The Curse of Depth in Large Language Models"),
    "2509.02046": ("Wen, Kaiyue", 2025, "Fantastic Pretraining Optimizers and Where to Find Them"),
}
