// Package boots records boots that stand still: real firmware and clients on cables with a
// fault, booting from the appliance itself. What it writes is what the boot doctor's tests
// replay (netboot/testdata/diagnosis).
package boots
