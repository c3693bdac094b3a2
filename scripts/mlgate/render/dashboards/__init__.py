"""For those who have Prometheus and Grafana: rules that tell of alerts, and a board that shows what was read.

The numbers are those of `.mlgate/metrics.txt` (see render/openmetrics.py) and of the server in a model's image.
"""
