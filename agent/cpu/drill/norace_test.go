//go:build !race

package drill_test

const slowly = false
