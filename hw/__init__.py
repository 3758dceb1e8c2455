"""What is built: processing elements, the array, synthesis, area and energy."""
