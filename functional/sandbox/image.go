package sandbox

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// ScratchImage makes a container image with nothing in it but one static
// binary, as a tarball for docker load (Engine 1.10 and later). name is the
// image's, with or without a tag. The container runs the command, or the
// binary alone where there is none; the binary is found as /<its base name>.
// The same input gives the same bytes.
func ScratchImage(name, binary string, command ...string) ([]byte, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", name, err)
	}
	inside := "/" + filepath.Base(binary)
	if len(command) == 0 {
		command = []string{inside}
	}
	layer, err := archive([]archived{{inside[1:], 0o755, program}})
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", name, err)
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"created":      time.Unix(0, 0).UTC(),
		"config":       map[string]any{"Cmd": command, "Env": []string{"PATH=/"}},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
	})
	if err != nil {
		return nil, err
	}
	configName, layerName := digest(config)+".json", digest(layer)+"/layer.tar"
	manifest, err := json.Marshal([]map[string]any{{
		"Config": configName, "RepoTags": []string{withTag(name)}, "Layers": []string{layerName},
	}})
	if err != nil {
		return nil, err
	}
	return archive([]archived{
		{configName, 0o644, config},
		{layerName, 0o644, layer},
		{"manifest.json", 0o644, manifest},
	})
}

// withTag adds the tag that docker itself would add.
func withTag(name string) string {
	if strings.Contains(path.Base(name), ":") {
		return name
	}
	return name + ":latest"
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

type archived struct {
	name string
	mode int64
	body []byte
}

func archive(files []archived) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.body)), ModTime: time.Unix(0, 0)}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.body); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
