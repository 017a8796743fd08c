module sluice.test/images

go 1.24.0
