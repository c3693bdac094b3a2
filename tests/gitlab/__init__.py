"""GitLab: the job templates as files, and as pipelines that the real gitlab-ci-local runs."""
