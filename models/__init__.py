"""What is learned: cards, classifiers, detectors. The only package that imports torch, transformers or scikit-learn."""
