package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"

	"vetting/agent/wire"
	"vetting/core"
	"vetting/initramfs"
	"vetting/netboot"
	"vetting/netboot/httpboot"
)

// bootFiles names the parts of the boot image as netboot serves them.
func bootFiles(image *initramfs.Image) map[string][]byte {
	files := maps.Clone(image.Loaders)
	files[httpboot.Kernel] = image.Kernel
	files[httpboot.Base] = image.Base
	files[httpboot.Modules] = image.Modules

	if image.Agent != nil {
		files[httpboot.Agent] = image.Agent
	}

	return files
}

// seedFile returns what writes the content of the seed archive: the one place
// where the engine's words become the agent's.
func seedFile(server netip.Addr, spki, imageID string) func(core.Seed) ([]byte, error) {
	return func(seed core.Seed) ([]byte, error) {
		text, err := json.Marshal(wire.Seed{
			Version: wire.Version, Server: "https://" + server.String(), Run: string(seed.Run), MAC: string(seed.MAC),
			BootToken: seed.BootToken, SPKISHA256: spki, ImageID: imageID, Expires: wire.At(seed.Expires),
		})
		if err != nil {
			return nil, fmt.Errorf("writing the seed of run %s: %w", seed.Run, err)
		}

		return text, nil
	}
}

// kernelArguments are those of the live image with the operator's own added.
func kernelArguments(own []string) []string {
	return append(netboot.DefaultCmdline(), own...)
}
