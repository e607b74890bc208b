"""The contract of threaded.py under gunicorn; the backend's URL is in $BACKEND."""

import os

import flask
import requests

BACKEND = os.environ.get("BACKEND")
METHODS = ["GET", "POST", "PUT", "DELETE"]

app = flask.Flask(__name__)


@app.get("/call/<request_id>")
def call(request_id):
    answer = requests.get(f"{BACKEND}/{request_id}", timeout=30)
    return answer.content, answer.status_code


@app.route("/", defaults={"path": ""}, methods=METHODS)
@app.route("/<path:path>", methods=METHODS)
def ok(path):
    return "ok\n"
