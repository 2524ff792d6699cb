package main

import "os"

func faultLength(short, full int) int {
	if os.Getenv("CH") != "" {
		return full
	}
	return short
}
