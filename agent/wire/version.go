package wire

import "fmt"

// Version is the protocol spoken by this source tree. It travels in [Hello]; the
// appliance refuses what it cannot speak.
//
// History, newest last:
//
//   - 1 (2026-11-23): hello, claim, heartbeat, log, sensor, result, artifact,
//     hold; host-register and host-heartbeat of installed machines; the seed
//     file /vetting/seed.json. To the calls as first written down were added:
//     image_id in hello (which boot image is running), state and scale in the
//     answer to claim (a held run hands out no stages), state in the answer to
//     heartbeat (a hold keeps beating, an end does not), skip_reason in result,
//     until in the answer to hold; refusal, key_state and server_time in the
//     heartbeat of an installed machine. The override of the wipe probe for a
//     disk is the flag "override-wipe-probe:SERIAL". The settings of all stages
//     stand in config too, not only with each stage: the claim of a held run lists
//     no stages, yet one may be told to be run again. An inventory may tell of slots,
//     power supplies, BMC, TPM, NUMA nodes, GPUs, USB devices, caches and logical
//     CPUs, of transceivers, enclosure bays and further paths to a disk; older
//     agents leave them out, and older appliances ignore them. The call
//     partner exchanges frames for tests of the network; the call traffic hands out a
//     ticket for the throughput partner (package load), and the call pair brings two
//     machines together that measure each other. An agent can do without all three.
//     The result of Firmware may tell of settings beside versions. The answer to claim
//     may name overlays and the host; an agent that does not know them leaves their
//     custom stages out, which the appliance notices. The order to shut down may be one
//     to reboot; an agent that does not know it powers off.
const Version = 1

// OldestVersion is the oldest protocol the appliance still speaks.
const OldestVersion = 1

// Speaks reports whether this end understands protocol version v.
func Speaks(v int) bool { return v >= OldestVersion && v <= Version }

// Versions says in words which versions this end understands.
func Versions() string {
	if OldestVersion == Version {
		return fmt.Sprintf("version %d", Version)
	}

	return fmt.Sprintf("versions %d to %d", OldestVersion, Version)
}
