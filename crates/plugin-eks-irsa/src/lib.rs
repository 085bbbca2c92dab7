//! Lets the pods of a Kubeflow Profile act as an AWS IAM role.
