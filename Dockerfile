# kbe.py on the CPU:
#   docker build -t kbe .
#   docker run --rm --user "$(id -u)" -v "$PWD:/photos" kbe --in photo.jpg --out results
FROM python:3.11-slim

WORKDIR /kbe
COPY requirements.txt .
# uv's own choice of torch's CPU build: the default one brings gigabytes of CUDA.
RUN pip install --no-cache-dir uv \
    && uv pip install --system --no-cache --torch-backend=cpu -r requirements.txt \
    && pip uninstall --yes uv
COPY . .
# The first film compiles the kernels; their machine code stays beside the sources, for such a CPU,
# and every user reads it there.
RUN python kbe.py --in images/example.jpg --out /tmp/film --duration 0.4 --preview --matte \
    && rm -r /tmp/film && chmod -R a+rX /kbe

# Of whomever --user names, so that the films are theirs.
ENV HOME=/tmp
WORKDIR /photos
ENTRYPOINT ["python", "/kbe/kbe.py"]
