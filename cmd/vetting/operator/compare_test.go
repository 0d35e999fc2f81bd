package operator

import (
	"encoding/json"
	"testing"
)

func TestRunsAreSetSideBySide(t *testing.T) {
	t.Parallel()

	number := func(n float64) *float64 { return &n }

	got, err := json.Marshal(sideBySide([]judged{
		{"SMART", "hot", "disk/sda/temperature_celsius", number(40), "pass"},
		{"CPUStress", "slow", "cpu/host/fma_gflops", number(200), "pass"},
		{"CPUStress", "slow", "cpu/cpu0/fma_gflops", nil, "unmeasurable"},
		{"Burn", "slow", "cpu/host/fma_gflops", number(0), "fail"},
	}, []judged{
		{"Burn", "slow", "cpu/host/fma_gflops", number(190), "pass"},
		{"CPUStress", "slow", "cpu/cpu0/fma_gflops", number(5), "pass"},
		{"CPUStress", "slow", "cpu/host/fma_gflops", number(182), "fail"},
		{"GPU", "hot", "gpu/0/temperature_celsius", number(60), "pass"},
	}))
	if err != nil {
		t.Fatal(err)
	}

	one := func(stage, rule, key, rest string) string {
		return `{"stage":"` + stage + `","rule":"` + rule + `","key":"` + key + `"` + rest + `}`
	}
	of := func(name, stage, rule, key, value, verdict string) string {
		return `,"` + name + `":` + one(stage, rule, key, `,"value":`+value+`,"verdict":"`+verdict+`"`)
	}

	const disk, host, cpu0, gpu = "disk/sda/temperature_celsius", "cpu/host/fma_gflops", "cpu/cpu0/fma_gflops", "gpu/0/temperature_celsius"

	want := "[" + one("SMART", "hot", disk, of("a", "SMART", "hot", disk, "40", "pass")) + "," +
		one("CPUStress", "slow", host, of("a", "CPUStress", "slow", host, "200", "pass")+of("b", "CPUStress", "slow", host, "182", "fail")+`,"change_percent":-9`) + "," +
		one("CPUStress", "slow", cpu0, of("a", "CPUStress", "slow", cpu0, "null", "unmeasurable")+of("b", "CPUStress", "slow", cpu0, "5", "pass")) + "," +
		one("Burn", "slow", host, of("a", "Burn", "slow", host, "0", "fail")+of("b", "Burn", "slow", host, "190", "pass")) + "," +
		one("GPU", "hot", gpu, of("b", "GPU", "hot", gpu, "60", "pass")) + "]"

	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
