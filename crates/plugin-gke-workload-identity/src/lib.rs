//! Lets the pods of a Kubeflow Profile act as a Google service account.
