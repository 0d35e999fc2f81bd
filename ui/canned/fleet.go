package canned

import (
	"fmt"
	"math"
	"time"

	"vetting/core"
)

// Model is what the machines of the scene Fleet call themselves, and some of Full.
const Model = "Dell Inc. PowerEdge R740"

// sisters are eight machines of one model: the memory of one is slow, another has a disk that
// reads slowly and a hot CPU. One was never vetted.
func sisters() (rows []row) {
	for n := range byte(8) {
		run := over(begun(11+n, time.Duration(n+1)*time.Hour, 5), core.StateCompleted, core.Pass)
		rows = append(rows, row{host(11+n, fmt.Sprintf("rack3-u%d", 17+n)), run, server("Dell Inc.", "PowerEdge R740", fmt.Sprintf("7C9F1R%d", n))})
	}

	return append(rows, row{host: host(19, "rack3-u9")})
}

// figures writes what the runs of hosts measured that came to a verdict.
func figures(txn core.Txn, rows []row, scene Scene) error {
	if scene != Full && scene != Fleet {
		return nil
	}

	for n := range rows {
		run := rows[n].run
		if run == nil || run.Verdict == "" {
			continue
		}

		wave := math.Sin(float64(n)) // each is a little other than its sisters
		memory, read, heat := 182_000+900*wave, 512+3*wave, 71+wave

		switch n {
		case 5:
			memory = 121_300
		case 6:
			read, heat = 214, 93
		}

		for _, f := range []core.Figures{
			{Stage: core.CPUStress, Medians: map[string]float64{"cpu/machine/fma_gflops": 1_480 + 9*wave, "cpu/machine/sustained_mhz": 2_890 + 6*wave, "cpu/package0/temperature_celsius": heat - 2, "cpu/package1/temperature_celsius": heat}},
			{Stage: core.Memory, Medians: map[string]float64{"memory/node0/triad_mibps": memory, "memory/node1/triad_mibps": memory + 400}},
			{Stage: core.Storage, Medians: map[string]float64{"disk/S64G/read_mibps": read, "disk/ZC1A/read_mibps": read + 20, "disk/S64G/write_mibps": read - 31, "disk/S64G/temperature_celsius": 34 + wave}},
			{Stage: core.Network, Medians: map[string]float64{"nic/eth0/sent_mbps": 9_412 + wave, "nic/eth0/received_mbps": 9_396 + wave}},
		} {
			if f.Stage == core.Memory && n == 3 {
				continue // its profile has no such stage
			}

			if err := txn.Put(core.TableFigure, string(run.ID)+"/"+string(f.Stage), f); err != nil {
				return err
			}
		}
	}

	return nil
}
