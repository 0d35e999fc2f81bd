package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"vetting/cmd/vetting/install"
)

// ociArchive makes a container image of the program alone, as an image layout in a
// tar (OCI image specification 1.0): what podman load and docker load read.
func ociArchive(p *program) ([]byte, error) {
	layer := &bytes.Buffer{}
	if err := writeTar(tar.NewWriter(layer), p.made, []file{{install.PackageProgram, 0o755, p.content}}); err != nil {
		return nil, err
	}

	packed := &bytes.Buffer{}

	// As in a package.
	pack, err := gzip.NewWriterLevel(packed, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}

	if _, err := pack.Write(layer.Bytes()); err != nil {
		return nil, err
	}

	if err := pack.Close(); err != nil {
		return nil, err
	}

	return layout(p, "sha256:"+sum(layer.Bytes()), packed.Bytes())
}

func sum(content []byte) string {
	digest := sha256.Sum256(content)

	return hex.EncodeToString(digest[:])
}

// object is JSON whose keys are in order, so that the same image has the same bytes.
type object map[string]any

// layout wraps a layer, whose uncompressed digest is diff.
func layout(p *program, diff string, layer []byte) ([]byte, error) {
	const (
		indexType    = "application/vnd.oci.image.index.v1+json"
		manifestType = "application/vnd.oci.image.manifest.v1+json"
		configType   = "application/vnd.oci.image.config.v1+json"
		layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
	)

	config, err := json.Marshal(object{
		"created": p.made.Format(time.RFC3339), "architecture": p.arch, "os": "linux",
		"config": object{
			"Entrypoint": []string{install.PackageProgram}, "Cmd": []string{"serve"},
			"Volumes": object{"/var/lib/vetting": object{}}, "StopSignal": "SIGTERM",
		},
		"rootfs": object{"type": "layers", "diff_ids": []string{diff}},
	})
	if err != nil {
		return nil, fmt.Errorf("writing the image's configuration: %w", err)
	}

	manifest, err := json.Marshal(object{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": descriptor(configType, config), "layers": []object{descriptor(layerType, layer)},
	})
	if err != nil {
		return nil, fmt.Errorf("writing the image's manifest: %w", err)
	}

	entry := descriptor(manifestType, manifest)
	entry["annotations"] = object{"org.opencontainers.image.ref.name": p.version, "io.containerd.image.name": "localhost/vetting:latest"}

	index, err := json.Marshal(object{"schemaVersion": 2, "mediaType": indexType, "manifests": []object{entry}})
	if err != nil {
		return nil, fmt.Errorf("writing the image's index: %w", err)
	}

	out := &bytes.Buffer{}

	err = writeTar(tar.NewWriter(out), p.made, []file{
		{"/blobs/sha256/" + sum(config), 0o644, config},
		{"/blobs/sha256/" + sum(layer), 0o644, layer},
		{"/blobs/sha256/" + sum(manifest), 0o644, manifest},
		{"/index.json", 0o644, index},
		{"/oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)},
	})

	return out.Bytes(), err
}

func descriptor(kind string, content []byte) object {
	return object{"mediaType": kind, "digest": "sha256:" + sum(content), "size": len(content)}
}
