// Package ui talks to people: the console, the operator API and the reports
// they read.
package ui
