// Package bench measures the appliance beside its rivals, on the same machine,
// in the same run, by the same load, in rounds that take turns. It holds tests
// behind the tag bench; `make bench` runs them.
package bench
