from infer.entry import launch

if __name__ == "__main__":
    launch()
