package profile

import "vetting/core"

// MemoryBoot is with how many patterns the kernel itself tests the memory before
// it uses it: it reaches what no program can, one CPU at a time.
const MemoryBoot = "Memory.boot_patterns"

// KernelArguments are what the live image's kernel must be told for the sake of
// the profile, parted by blanks; they are not secret.
func KernelArguments(p core.Profile) string {
	if n := p.Config[MemoryBoot]; n != "" && n != "0" {
		return "memtest=" + n
	}

	return ""
}
