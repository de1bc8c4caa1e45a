# The images of Second Look: a target for each service, one set of libraries below all of them.
#
# `docker compose build` builds what is needed, `make images` stamps the revision on it. By hand:
#   docker build --target detector -t secondlook-detector .
#
# Bases are pinned by version. To pin by content too, give the digest that your registry tells
# (docs/deploy.md says how): --build-arg PYTHON_IMAGE=python:3.11.14-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

# --- what the services run on: the locked libraries, and our packages one by one ---------------
FROM ${PYTHON_IMAGE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/services.txt ./
# Wheels only: what has none for a platform fails here and not at run time.
RUN python -m venv --without-pip /opt/secondlook \
    && python -m pip --python /opt/secondlook/bin/python install --quiet --only-binary=:all: \
       --require-hashes -r services.txt
COPY pyproject.toml README.md LICENSE ./
COPY secondlook secondlook
COPY producers producers
COPY detector_svc detector_svc
COPY classifier_svc classifier_svc
COPY training training
# The build tool came with the lock, and leaves with the tests of other people's libraries and 32 MB
# of debugging symbols. Only of these three: `strip` can break a library that was patched for its
# wheel, as those in a folder *.libs were.
RUN python -m pip --python /opt/secondlook/bin/python install --quiet --no-deps \
       --no-build-isolation . \
    && python -m pip --python /opt/secondlook/bin/python uninstall --quiet --yes setuptools \
    && packages=$(echo /opt/secondlook/lib/python3.*/site-packages) \
    && rm -r "$packages/training" \
    && find "$packages" -type d -name tests -prune -exec rm -r {} + \
    && strip --strip-unneeded "$packages"/rapidjson.*.so "$packages"/ml_dtypes/*.so \
       "$packages"/yaml/*.so \
    && for service in producers detector_svc classifier_svc; do \
         mkdir -p "/out/$service" && mv "$packages/$service" "/out/$service/"; \
       done \
    && mkdir -p /out/shared && mv "$packages"/secondlook* /out/shared/ \
    && ln -s "$packages" /opt/secondlook/packages

FROM ${PYTHON_IMAGE} AS runtime
# Volumes take their owner from the folders that are here when they are made.
RUN groupadd --gid 10001 secondlook \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home \
       --shell /usr/sbin/nologin secondlook \
    && install -d -o 10001 -g 10001 -m 0700 /secondlook/data
COPY --from=build /opt/secondlook /opt/secondlook
# An engine starts again whatever ends: who cannot work says why once, and waits for a change.
ENV PATH=/opt/secondlook/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    SECONDLOOK_STAY_WHEN_WRONG=1
WORKDIR /secondlook
USER 10001:10001

# --- ffmpeg for `ffmpeg:` sources, above all to decode on a GPU --------------------------------
# Debian's own source with its security patches, and of it what reads cameras and clips: 7 MB where
# the package brings 470 MB of encoders, screens and speech. Two minutes on two cores, once.
FROM ${PYTHON_IMAGE} AS ffmpeg
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
WORKDIR /build
RUN sed -i 's/^Types: deb$/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources \
    && apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends dpkg-dev gcc libc6-dev libdav1d-dev \
       libdrm-dev libffmpeg-nvenc-dev libgnutls28-dev libva-dev make nasm pkg-config zlib1g-dev \
    && apt-get source -qq ffmpeg \
    && rm -rf /var/lib/apt/lists/* ./*.tar.* \
    && mv ffmpeg-* ffmpeg
WORKDIR /build/ffmpeg
RUN ./configure --disable-everything --disable-autodetect --disable-doc --disable-debug \
       --disable-ffplay --disable-ffprobe \
       --enable-gnutls --enable-zlib --enable-libdav1d \
       --enable-libdrm --enable-vaapi --enable-ffnvcodec --enable-nvdec --enable-cuvid \
       --enable-v4l2-m2m \
       --enable-protocol=file,pipe,tcp,udp,rtp,tls,http,https,crypto,hls,data \
       --enable-demuxer=rtsp,rtp,sdp,mov,matroska,mpegts,mpegps,flv,hls,avi \
       --enable-demuxer=h264,hevc,mjpeg,mpjpeg,image2,rawvideo \
       --enable-indev=v4l2,lavfi \
       --enable-parser=h264,hevc,av1,vp8,vp9,mjpeg,mpeg4video,mpegvideo \
       --enable-decoder=h264,hevc,libdav1d,av1,vp8,vp9,mjpeg,mpeg4,mpeg2video,png,rawvideo \
       --enable-decoder=h264_cuvid,hevc_cuvid,av1_cuvid,vp9_cuvid,mjpeg_cuvid \
       --enable-decoder=h264_v4l2m2m,hevc_v4l2m2m \
       --enable-hwaccel=h264_vaapi,hevc_vaapi,av1_vaapi,vp9_vaapi,mjpeg_vaapi \
       --enable-hwaccel=h264_nvdec,hevc_nvdec,av1_nvdec,vp9_nvdec,mjpeg_nvdec \
       --enable-bsf=h264_mp4toannexb,hevc_mp4toannexb \
       --enable-filter=scale,scale_vaapi,fps,format,hwdownload,hwupload,null,copy,crop,transpose \
       --enable-filter=testsrc,testsrc2 \
       --enable-encoder=rawvideo,wrapped_avframe --enable-muxer=rawvideo,null \
    && make -j"$(nproc)" ffmpeg && strip ffmpeg

# --- the services ------------------------------------------------------------------------------
FROM runtime AS detector
ENV SECONDLOOK_SERVICE=detector
COPY --from=build /out/shared /out/detector_svc /opt/secondlook/packages/
ENTRYPOINT ["python", "-m", "detector_svc"]

FROM runtime AS classifier
ENV SECONDLOOK_SERVICE=classifier
COPY --from=build /out/shared /out/classifier_svc /opt/secondlook/packages/
ENTRYPOINT ["python", "-m", "classifier_svc"]

FROM runtime AS producers
# More Debian packages, for the hardware of one machine: deploy/compose/decode-*.yaml.
ARG PACKAGES=""
USER 0
# hadolint ignore=SC2086 - a list
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libdav1d6 libdrm2 libgnutls30 libva-drm2 \
       libva2 ${PACKAGES} \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001
COPY --from=ffmpeg /build/ffmpeg/ffmpeg /usr/local/bin/
ENV SECONDLOOK_SERVICE=producers
COPY --from=build /out/shared /out/producers /opt/secondlook/packages/
ENTRYPOINT ["python", "-m", "producers"]

# --- the status page ---------------------------------------------------------------------------
FROM runtime AS page
USER 0
COPY requirements/page.txt /tmp/
RUN /usr/local/bin/python -m pip --python /opt/secondlook/bin/python install --quiet --no-cache-dir \
       --disable-pip-version-check --only-binary=:all: --require-hashes -r /tmp/page.txt
USER 10001:10001
COPY --from=build /out/shared /opt/secondlook/packages/
ENTRYPOINT ["python", "-m", "secondlook.page"]

# --- the command line: makes the broker's users, shows alerts, tries cameras ------------------
FROM producers AS tools
USER 0
ENV SECONDLOOK_SERVICE= SECONDLOOK_PICTURES=/tmp/check-pictures
COPY requirements/tools.txt /tmp/
RUN /usr/local/bin/python -m pip --python /opt/secondlook/bin/python install --quiet --no-cache-dir \
       --disable-pip-version-check --only-binary=:all: --require-hashes -r /tmp/tools.txt \
    && install -d -o 10001 -g 10001 -m 0700 /access /engines /hand-out /hand-out/broker \
       /hand-out/producers /hand-out/detector /hand-out/classifier /hand-out/page
USER 10001:10001
ENTRYPOINT ["secondlook"]
CMD ["--help"]

# --- Triton for machines without an NVIDIA GPU: its Python backend with onnxruntime -----------
FROM ${PYTHON_IMAGE} AS triton-build
WORKDIR /build
COPY secondlook secondlook
RUN PYTHONPATH=/build python -c "from secondlook.local import triton_install; \
from pathlib import Path; triton_install.install(print, cache=Path('/cache'))" \
    && mv /cache/triton-* /opt/triton \
    && ln -s /opt/triton/lib/python3.*/site-packages /opt/triton/packages

FROM ${PYTHON_IMAGE} AS triton
COPY --from=triton-build /opt/triton /opt/triton
ENV PATH=/opt/triton/packages/pytriton/tritonserver/bin:/opt/triton/bin:$PATH \
    LD_LIBRARY_PATH=/opt/triton/packages/nvidia_pytriton.libs:/usr/local/lib HOME=/tmp \
    TRITON_BACKENDS=/opt/triton/packages/pytriton/tritonserver/backends
USER 10001:10001
EXPOSE 8000 8001 8002
CMD ["tritonserver", "--help"]
